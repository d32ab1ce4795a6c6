// Linux errno numbers and their texts. An `Errno` travels as a negative number: 0 is success, -ENOENT is absent.

// prettier-ignore
export const errno = {
  EPERM: 1, ENOENT: 2, ESRCH: 3, EINTR: 4, EIO: 5, ENXIO: 6, E2BIG: 7, EBADF: 9, EAGAIN: 11, ENOMEM: 12, EACCES: 13,
  EBUSY: 16, EEXIST: 17, EXDEV: 18, ENODEV: 19, ENOTDIR: 20, EISDIR: 21, EINVAL: 22, ENFILE: 23, EMFILE: 24,
  ENOTTY: 25, ETXTBSY: 26, EFBIG: 27, ENOSPC: 28, EROFS: 30, EMLINK: 31, ERANGE: 34, ENAMETOOLONG: 36, ENOSYS: 38,
  ENOTEMPTY: 39, ELOOP: 40, ENODATA: 61, EPROTO: 71, EOVERFLOW: 75, EOPNOTSUPP: 95, ENOTCONN: 107, ESTALE: 116, EDQUOT: 122,
} as const;

/** An errno that ends an op where nothing can be returned: the caller gets it, nothing is logged. */
export class ErrnoError extends Error {
  override readonly name = 'ErrnoError';
  /** `errno`: negative. */
  constructor(
    readonly errno: number,
    what: string,
  ) {
    super(`${what}: ${errnoText(errno)}`);
  }
}

export type ErrnoName = keyof typeof errno;

const texts: Partial<Record<ErrnoName, string>> = {
  EPERM: 'operation not permitted',
  ENOENT: 'no such file or directory',
  EIO: 'input/output error',
  EACCES: 'permission denied',
  EBUSY: 'device or resource busy',
  EEXIST: 'file exists',
  EXDEV: 'invalid cross-device link',
  ENODEV: 'no such device',
  ENOTDIR: 'not a directory',
  EISDIR: 'is a directory',
  EINVAL: 'invalid argument',
  EMFILE: 'too many open files',
  ENOSPC: 'no space left on device',
  EROFS: 'read-only file system',
  ENAMETOOLONG: 'file name too long',
  ENOSYS: 'function not implemented',
  ENOTEMPTY: 'directory not empty',
  ELOOP: 'too many levels of symbolic links',
  ENODATA: 'no data available',
  EOPNOTSUPP: 'operation not supported',
  ENOTCONN: 'transport endpoint is not connected',
  ESTALE: 'stale file handle',
  EDQUOT: 'disk quota exceeded',
};

const names = new Map<number, ErrnoName>(Object.entries(errno).map(([name, code]) => [code, name as ErrnoName]));

/** The symbolic name of an errno given either sign, "errno 999" for an unknown one. */
export function errnoName(code: number): string {
  return names.get(Math.abs(code)) ?? `errno ${Math.abs(code)}`;
}

/** The text of an errno in Docker's lower-case wording, its symbolic name when it has no text here. */
export function errnoText(code: number): string {
  const name = names.get(Math.abs(code));
  return (name && texts[name]) ?? errnoName(code);
}
