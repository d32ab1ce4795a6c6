// INIT: which features of the kernel we take, and what follows from them for the native side.

import { type InitIn, type InitOut } from '../abi/init.js';
import { FUSE_OLDEST_MINOR, InitFlag } from '../abi/protocol.js';

export interface Wishes {
  /** Data of open files in the kernel, where it can. */
  passthrough: boolean;
  /** No route goes through FUSE, so the kernel may cache directories. */
  cacheDirs: boolean;
  /** Entries stay valid for a while, so that it pays to give them with a listing. */
  keepEntries: boolean;
  /** Locks come to us: others lock the same files by other ways. */
  locks: boolean;
  /** ACLs are checked by the kernel; needs default_permissions. */
  posixAcl: boolean;
}

/** Bytes of one READ or WRITE; the loop's buffers are sized for it. */
export const MAX_WRITE = 1 << 20;
const PAGE = 4096;

const WANTED =
  InitFlag.ASYNC_READ |
  InitFlag.ATOMIC_O_TRUNC |
  InitFlag.BIG_WRITES |
  InitFlag.DONT_MASK |
  InitFlag.ASYNC_DIO |
  InitFlag.PARALLEL_DIROPS |
  InitFlag.ABORT_ERROR |
  InitFlag.MAX_PAGES |
  InitFlag.CACHE_SYMLINKS |
  InitFlag.HANDLE_KILLPRIV_V2 |
  InitFlag.SETXATTR_EXT |
  InitFlag.INIT_EXT |
  InitFlag.CREATE_SUPP_GROUP |
  InitFlag.HAS_EXPIRE_ONLY |
  InitFlag.DIRECT_IO_ALLOW_MMAP |
  InitFlag.HAS_RESEND;

/** The answer to INIT, or why this kernel cannot be served. */
export function negotiate(offer: InitIn, wishes: Wishes): InitOut | string {
  if (offer.major !== 7 || offer.minor < FUSE_OLDEST_MINOR) {
    return `the kernel speaks FUSE ${offer.major}.${offer.minor}, lamina needs 7.${FUSE_OLDEST_MINOR} (Linux 5.17) or later`;
  }
  let wanted = WANTED;
  if (wishes.passthrough) wanted |= InitFlag.PASSTHROUGH;
  if (wishes.keepEntries) wanted |= InitFlag.DO_READDIRPLUS | InitFlag.READDIRPLUS_AUTO;
  if (wishes.cacheDirs) wanted |= InitFlag.NO_OPENDIR_SUPPORT;
  if (wishes.locks) wanted |= InitFlag.POSIX_LOCKS | InitFlag.FLOCK_LOCKS;
  // Pages that a map or a splice has left are dropped once a stat shows that somebody else has written.
  wanted |= wishes.locks ? InitFlag.AUTO_INVAL_DATA : InitFlag.EXPLICIT_INVAL_DATA;
  if (wishes.posixAcl) wanted |= InitFlag.POSIX_ACL;
  const flags = wanted & offer.flags;
  return {
    minor: offer.minor,
    maxReadahead: offer.maxReadahead,
    flags,
    maxBackground: 64,
    congestionThreshold: 48,
    maxWrite: MAX_WRITE,
    maxPages: MAX_WRITE / PAGE,
    maxStackDepth: flags & InitFlag.PASSTHROUGH ? 1 : 0,
  };
}
