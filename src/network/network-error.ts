// The error of this directory; `kind` tells the engine which HTTP status it is.

export class NetworkError extends Error {
  override readonly name = 'NetworkError';

  constructor(
    readonly kind: 'not found' | 'conflict' | 'invalid' | 'forbidden' | 'failed',
    message: string,
  ) {
    super(message);
  }
}
