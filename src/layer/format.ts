// How a layer says "this is gone", "nothing below counts" and "this came from there": the on-disk formats of kernel
// overlayfs, fuse-overlayfs and AUFS archives, all read, kernel overlayfs written. Called by whoever reads
// a layer or writes one.

import { ErrnoError, errno } from '../abi/errno.js';
import { sys } from '../native/load.js';
import { DirentType, Mode, Open, STAT_WORDS, Stat } from '../native/syscalls.js';
import { redirectError } from './redirect.js';

export const WHITEOUT_PREFIX = '.wh.';
export const OPAQUE_MARKER = '.wh..wh..opq';

/** Which namespace holds the overlay attributes that we write: user.* when trusted.* is not ours to set. */
export type XattrScheme = 'trusted' | 'user';

export function overlayXattr(scheme: XattrScheme, attribute: string): string {
  return `${scheme}.overlay.${attribute}`;
}

const stat = new BigInt64Array(STAT_WORDS);

/** Whether `name` in `dirfd` is a character device 0:0; false when absent. */
export function isWhiteoutDevice(dirfd: number, name: string): boolean {
  if (sys.statx(dirfd, name, stat) !== 0) return false;
  return (Number(stat[Stat.mode]) & Mode.FMT) === Mode.CHR && stat[Stat.rdev] === 0n;
}

function attributeIs(dirfd: number, name: string, attribute: string, value: string): boolean {
  const found = sys.getxattr(dirfd, name, attribute);
  return typeof found !== 'number' && found.toString('latin1') === value;
}

/** What a directory says of the names in it. */
export interface NameMarks {
  /** Some empty files in it are whiteouts by attribute (overlay.opaque=x). */
  readonly xattrWhiteouts: boolean;
  /** Names that begin with `.wh.` are names like any other (overlay.plainnames, our own: the kernel takes all for such). */
  readonly plainNames: boolean;
}

export const NO_NAME_MARKS: NameMarks = { xattrWhiteouts: false, plainNames: false };

/** What a directory says of the layers below it, too. */
export interface DirectoryMarks extends NameMarks {
  /** Lower layers' children do not show. */
  opaque: boolean;
  /** Where its lower part is, when not at its own path: a name beside it, or a path from the root when it starts with '/'. */
  redirect: string | undefined;
  /** Some of its children carry an origin. */
  impure: boolean;
}

const OPAQUE_XATTRS = ['trusted.overlay.opaque', 'user.overlay.opaque', 'user.fuseoverlayfs.opaque'] as const;

/** Whether the directory says where its lower part is, well or badly. */
export function hasRedirect(dirfd: number, name: string, scheme: XattrScheme): boolean {
  return typeof sys.getxattr(dirfd, name, overlayXattr(scheme, 'redirect')) !== 'number';
}

function readRedirect(dirfd: number, name: string, scheme: XattrScheme): string | undefined {
  const found = sys.getxattr(dirfd, name, overlayXattr(scheme, 'redirect'));
  if (typeof found === 'number') return undefined;
  const redirect = found.toString('latin1');
  const error = redirectError(redirect);
  if (error) throw new ErrnoError(error, `the redirect of directory ${name} in a layer is malformed`);
  return redirect;
}

/**
 * Reads the marks of the directory `name` in `dirfd` (empty name: the fd itself). Throws ErrnoError for a redirect that leads
 * nowhere: what the directory shows is not known then.
 */
export function readMarks(dirfd: number, name: string, scheme: XattrScheme): DirectoryMarks {
  const names = sys.listxattr(dirfd, name);
  const has = new Set(typeof names === 'number' ? [] : names);
  const opaque = OPAQUE_XATTRS.some((attribute) => has.has(attribute) && attributeIs(dirfd, name, attribute, 'y'));
  const xattrWhiteouts = OPAQUE_XATTRS.slice(0, 2).some((a) => has.has(a) && attributeIs(dirfd, name, a, 'x'));
  const plainNames = has.has(overlayXattr(scheme, 'plainnames'));
  const marker = name === '' ? OPAQUE_MARKER : `${name}/${OPAQUE_MARKER}`;
  return {
    opaque: opaque || (!plainNames && sys.statx(dirfd, marker, stat) === 0),
    xattrWhiteouts,
    plainNames,
    redirect: has.has(overlayXattr(scheme, 'redirect')) ? readRedirect(dirfd, name, scheme) : undefined,
    impure: has.has(overlayXattr(scheme, 'impure')),
  };
}

/** One entry of a layer's directory as the union sees it. */
export interface LayerEntries {
  /** Real objects and their d_type. */
  present: Map<string, number>;
  /** Names that this layer hides in the layers below. */
  whiteouts: Set<string>;
  /** Pairs (d_off, names up to there) of the directory itself, and its names in that order. */
  offsets: BigInt64Array;
  names: string[];
}

function isXattrWhiteout(dirfd: number, name: string): boolean {
  return (
    typeof sys.getxattr(dirfd, name, 'trusted.overlay.whiteout') !== 'number' ||
    typeof sys.getxattr(dirfd, name, 'user.overlay.whiteout') !== 'number'
  );
}

function typeOf(dirfd: number, name: string): number {
  return sys.statx(dirfd, name, stat) === 0 ? (Number(stat[Stat.mode]) & Mode.FMT) >> 12 : DirentType.UNKNOWN;
}

/**
 * All entries of one layer's directory.
 * @param fd O_RDONLY on the directory
 * Errors: -errno of getdents64.
 */
export function readLayerDirectory(fd: number, marks: NameMarks): LayerEntries | number {
  const listing = sys.readdir(fd);
  if (typeof listing === 'number') return listing;
  const present = new Map<string, number>();
  const whiteouts = new Set<string>();
  listing.names.forEach((name, i) => {
    const type = listing.types[i] || typeOf(fd, name);
    if (!marks.plainNames && name.startsWith(WHITEOUT_PREFIX)) {
      if (name !== OPAQUE_MARKER) whiteouts.add(name.slice(WHITEOUT_PREFIX.length));
    } else if (type === DirentType.CHR && isWhiteoutDevice(fd, name)) {
      whiteouts.add(name);
    } else if (marks.xattrWhiteouts && type === DirentType.REG && isXattrWhiteout(fd, name)) {
      whiteouts.add(name);
    } else {
      present.set(name, type);
    }
  });
  return { present, whiteouts, offsets: listing.offsets, names: listing.names };
}

/**
 * Lets names in `dirfd` begin with `.wh.`. 0 or -errno: EINVAL where there are whiteouts of that form, which such names could
 * not be told from, or no attributes; EPERM where chattr i or a keeps them as they are.
 */
export function setPlainNames(dirfd: number, scheme: XattrScheme): number {
  const fd = sys.openat2(dirfd, '.', Open.RDONLY | Open.DIRECTORY, 0, 0);
  if (fd < 0) return fd;
  const listing = sys.readdir(fd);
  sys.close(fd);
  if (typeof listing === 'number') return listing;
  if (listing.names.some((name) => name.startsWith(WHITEOUT_PREFIX))) return -errno.EINVAL;
  const error = sys.setxattr(dirfd, '', overlayXattr(scheme, 'plainnames'), Buffer.from('y'), 0);
  return error === -errno.EOPNOTSUPP ? -errno.EINVAL : error;
}

/** Makes a whiteout at a free name. 0 or -errno; needs no privilege since Linux 5.8. */
export function makeWhiteout(dirfd: number, name: string): number {
  return sys.mknodat(dirfd, name, Mode.CHR | 0, 0n);
}

export function setOpaque(dirfd: number, name: string, scheme: XattrScheme): number {
  return sys.setxattr(dirfd, name, overlayXattr(scheme, 'opaque'), Buffer.from('y'), 0);
}

export function setRedirect(dirfd: number, name: string, scheme: XattrScheme, path: string): number {
  return sys.setxattr(dirfd, name, overlayXattr(scheme, 'redirect'), Buffer.from(path, 'latin1'), 0);
}

const OWNED_PREFIXES = ['trusted.overlay.', 'user.overlay.', 'user.fuseoverlayfs.'] as const;

/** Whether an attribute is the overlay's own, not to be copied up; a user's, escaped as `trusted.overlay.overlay.x`, is not. */
export function isOverlayXattr(name: string): boolean {
  return OWNED_PREFIXES.some((prefix) => name.startsWith(prefix) && !name.startsWith('overlay.', prefix.length));
}

/** Says of a file that kernel overlayfs left its data in a layer below. */
export function isMetacopy(name: string): boolean {
  return name === overlayXattr('trusted', 'metacopy') || name === overlayXattr('user', 'metacopy');
}

/** The name under which a user knows a stored attribute: escaped ones unescaped, undefined for the overlay's own. */
export function shownXattr(stored: string): string | undefined {
  const prefix = OWNED_PREFIXES.find((each) => stored.startsWith(each));
  if (prefix === undefined) return stored;
  return isOverlayXattr(stored) ? undefined : prefix + stored.slice(prefix.length + 'overlay.'.length);
}
