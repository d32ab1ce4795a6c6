// The error of this directory, in Docker's words where Docker has them.

/**
 * denied: the repository is missing or not ours to see · not-found: no such manifest · unauthorized: the credentials are
 * wrong or missing · unreachable: no answer · broken: an answer that breaks the protocol or does not match its digest.
 */
export type RegistryErrorKind = 'denied' | 'not-found' | 'unauthorized' | 'unreachable' | 'broken';

const MAX_LENGTH = 1500;

/** One line, whatever a registry says: parts of it are its words, which must not steer a terminal nor fill a log. */
function line(message: string): string {
  const text = message.slice(0, 4 * MAX_LENGTH).replace(/[\s\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]+/g, ' ');
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}...` : text;
}

export class RegistryError extends Error {
  override readonly name = 'RegistryError';

  constructor(
    readonly kind: RegistryErrorKind,
    message: string,
    from?: unknown,
  ) {
    super(line(message), from === undefined ? undefined : { cause: from });
  }
}

/** What kept an answer from coming, with the next step; a RegistryError as it is. */
export function unreachable(method: string, url: URL, error: unknown): RegistryError {
  if (error instanceof RegistryError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const next =
    code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === 'EAI_AGAIN'
      ? 'check the name of the registry and the network'
      : /CERT|SIGNATURE|EPROTO|TLS/.test(code ?? '')
        ? `check its certificate, put its authority into /etc/docker/certs.d/${url.host}/ca.crt, or allow it as an insecure registry`
        : 'try again later';
  return new RegistryError('unreachable', `${method} ${url.href}: ${message || (code ?? 'no answer')}; ${next}`, error);
}
