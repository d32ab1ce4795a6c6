// What the oracle compares with what: each target is one kind of mount that is tested, its references, and what it may do
// otherwise. Called by oracle.test.ts.

import { isDeepStrictEqual } from 'node:util';
import type { Kind } from '../../support/mounts.js';
import type { Op } from '../../support/ops.js';
import type { Allowance } from '../run.js';

export interface Target {
  /** References, then the one that is tested. */
  readonly kinds: readonly Kind[];
  readonly allows: readonly Allowance[];
  /** How many of 24 seeds it gets where all targets run. */
  readonly share: number;
  /** An operation that would lead apart is made another one, on every kind. */
  readonly adapt?: (op: Op) => Op;
}

type Shown = Readonly<Record<string, string | number>>;

const isMisaligned = (op: Op): boolean => typeof op['skew'] === 'number' && op['skew'] % 512 !== 0;
const wroteByMap = (ops: readonly Op[]): boolean => ops.some(({ op }) => op === 'mwrite');

/** All but the time is the same, and one of the times is that of a write just now. */
function differInTime(one: Shown, other: Shown): boolean {
  const times = [one['mtime'], other['mtime']];
  return times[0] !== times[1] && times.includes('now') && isDeepStrictEqual({ ...one, mtime: '' }, { ...other, mtime: '' });
}

/** A line of a tree: the type, then what there is to say in JSON. */
function parsed(line: string): Shown {
  const space = line.indexOf(' ');
  return space < 0 ? {} : { ...(JSON.parse(line.slice(space)) as Shown), type: line.slice(0, space) };
}

/** What `tested` has is in `reference`, which goes on with what maps write (maps.ts), once or more. */
function lacksMapWrites(reference: Shown, tested: Shown): boolean {
  return (
    Object.keys(tested).every((at) => at in reference) &&
    Object.entries(reference).every(([at, text]) => {
      const [whole, part] = [`${text}`, `${tested[at] ?? ''}`];
      return whole.startsWith(part) && /^(m\d*)*$/.test(whole.slice(part.length));
    })
  );
}

/** Whether an earlier operation made something immutable or append-only. */
const protects = (ops: readonly Op[]): boolean => ops.some(({ letters }) => typeof letters === 'string' && /[ia]/.test(letters));
/** What the kernel's side of FUSE says of itself before it asks us, who would say EPERM; EACCES, which a mode is enough for, of any. */
const EARLIER: Readonly<Record<string, readonly string[]>> = {
  unlink: ['EISDIR'],
  rmdir: ['ENOTDIR'],
  rename: ['EISDIR', 'ENOTDIR'],
};

/** Of chattr i and a: the kernel's side of FUSE does not know of them. */
export const PROTECTED: readonly Allowance[] = [
  {
    why: 'it looks at types and modes first, filesystems of its own at flags',
    op: (op, reference, tested, ops) =>
      protects(ops) &&
      'e' in reference &&
      reference.e === 'EPERM' &&
      'e' in tested &&
      (tested.e === 'EACCES' || EARLIER[op.op]?.includes(tested.e) === true),
  },
  {
    why: 'a default ACL that a file cannot have is taken away without asking us (fs/posix_acl.c: set_posix_acl)',
    op: (op, reference, tested, ops) =>
      op.op === 'removexattr' &&
      op['name'] === 'system.posix_acl_default' &&
      protects(ops) &&
      'e' in reference &&
      reference.e === 'EPERM' &&
      !('e' in tested),
  },
  {
    why: 'access(2) for writing is answered from the mode',
    op: (op, reference, tested, ops) =>
      op.op === 'access' &&
      (Number(op['mode']) & 2) !== 0 &&
      protects(ops) &&
      'v' in reference &&
      reference.v === false &&
      'v' in tested &&
      tested.v === true,
  },
  {
    why: 'a file that was open for writing before it became append-only can be mapped (mm/mmap.c: IS_APPEND)',
    op: (op, reference, tested, ops) =>
      op.op === 'mmap' &&
      op['shared'] === true &&
      protects(ops) &&
      'e' in reference &&
      reference.e === 'EACCES' &&
      !('e' in tested),
  },
  {
    why: 'so that there is such a map, which there is not elsewhere',
    op: (op, reference, _tested, ops) => 'map' in op && protects(ops) && 'e' in reference && reference.e === 'EBADF',
  },
  {
    why: 'a copy from behind the end of a file copies nothing without asking us (fs/read_write.c: generic_copy_file_checks)',
    op: (op, reference, tested, ops) =>
      op.op === 'copyrange' && protects(ops) && 'e' in reference && reference.e === 'EPERM' && 'v' in tested && tested.v === 0,
  },
];

const RELAYED: readonly Allowance[] = [
  {
    why: "the client's memory is not known to the server, so direct I/O to where the disk's driver will not go succeeds",
    op: (op, reference, tested) =>
      op.op === 'dread' && isMisaligned(op) && 'e' in reference && reference.e === 'EINVAL' && 'v' in tested,
  },
  {
    why: 'the time of a file written through a map is that of its write-back',
    op: (op, reference, tested, ops) =>
      ['stat', 'lstat'].includes(op.op) &&
      wroteByMap(ops) &&
      'v' in reference &&
      'v' in tested &&
      differInTime(reference.v as Shown, tested.v as Shown),
    object: (reference, tested, ops) => wroteByMap(ops) && differInTime(parsed(reference), parsed(tested)),
  },
  {
    why: 'what a map wrote behind the end of a file goes with the write-back; inside of it every read would tell',
    op: (op, reference, tested) =>
      op.op === 'mread' && 'v' in reference && 'v' in tested && lacksMapWrites(reference.v as Shown, tested.v as Shown),
  },
  {
    why: 'it is still there when the file is made longer before the write-back, where filesystems of the kernel clear it',
    object: (reference, tested, ops) =>
      wroteByMap(ops) && isDeepStrictEqual({ ...parsed(reference), data: '' }, { ...parsed(tested), data: '' }),
  },
];

/** A write that the server cannot refuse would lead apart. */
const aligned = (op: Op): Op => (op.op === 'dwrite' && isMisaligned(op) ? { ...op, skew: 0 } : op);

export const TARGETS: Readonly<Record<string, Target>> = {
  union: { kinds: ['plain', 'overlay', 'lamina'], allows: [], share: 14 },
  relay: { kinds: ['plain', 'overlay', 'relay'], allows: RELAYED, adapt: aligned, share: 4 },
  volume: { kinds: ['plain', 'bind', 'volume'], allows: [], share: 3 },
  'relay-volume': { kinds: ['plain', 'bind', 'relay-volume'], allows: RELAYED, adapt: aligned, share: 3 },
};
