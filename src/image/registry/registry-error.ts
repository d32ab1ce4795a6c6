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
