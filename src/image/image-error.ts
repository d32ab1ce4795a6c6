// The error of this directory: its message names the subject (archive, entry, reference), the cause and the next
// step, and is meant for the user. Also how names, which are bytes, are shown to a person.

import { errnoText } from '../abi/errno.js';

export class ImageError extends Error {
  override readonly name = 'ImageError';

  /** `cause` is what went wrong with `subject`, `next` what the user can do. */
  constructor(subject: string, cause: string, next: string, from?: unknown) {
    super(`${subject}: ${cause}; ${next}`, from === undefined ? undefined : { cause: from });
  }

  /** One that another process has met: `from` has its words. */
  static met(from: Error): ImageError {
    const error = new ImageError('', '', '', from);
    error.message = from.message;
    return error;
  }
}

export const MAKE_AGAIN = 'the archive is damaged or cut short, copy or create it again';
export const NO_SPACE = 'nothing was loaded: free some space and load it again';
export const NOT_TRUSTED = 'nothing was loaded: do not trust this archive';

/** An error of a system call on our own disk, said to the user; any other error as it is. */
export function explainSystem(subject: string, error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { code, syscall, errno } = error as NodeJS.ErrnoException;
  if (syscall === undefined || errno === undefined) return error;
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  return new ImageError(
    subject,
    `cannot ${syscall}: ${errnoText(errno)}`,
    full ? NO_SPACE : 'nothing was loaded: check the data root and its disk',
    error,
  );
}

/** Bytes (a latin1 string) as text for a message: UTF-8 where it is valid, control characters escaped, cut when long. */
export function shown(bytes: string): string {
  const text = Buffer.from(bytes, 'latin1').toString('utf8');
  const safe = text.replace(/[\u0000-\u001f\u007f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return safe.length > 200 ? `${safe.slice(0, 200)}...` : safe;
}
