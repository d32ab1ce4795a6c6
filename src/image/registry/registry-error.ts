// The error of this directory, in Docker's words where Docker has them.

/**
 * denied: the repository is missing or not ours to see · not-found: no such manifest · unauthorized: the credentials are
 * wrong or missing · unreachable: no answer · broken: an answer that breaks the protocol or does not match its digest.
 */
export type RegistryErrorKind = 'denied' | 'not-found' | 'unauthorized' | 'unreachable' | 'broken';

export class RegistryError extends Error {
  override readonly name = 'RegistryError';

  constructor(
    readonly kind: RegistryErrorKind,
    message: string,
    from?: unknown,
  ) {
    super(message, from === undefined ? undefined : { cause: from });
  }
}
