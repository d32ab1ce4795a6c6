// Seeded random stacks and operation sequences for oracle.ts. The same seed gives the same case, on any machine.

import { ACCESS, acl, DEFAULT } from '../support/acl.js';
import {
  access,
  any,
  append,
  by,
  cat,
  chmod,
  chown,
  close,
  fallocate,
  fstat,
  ftruncate,
  link,
  linkfd,
  listxattr,
  lstat,
  mkdir,
  mknod,
  open,
  pread,
  put,
  pwrite,
  readdir,
  readlink,
  removexattr,
  rename,
  rmdir,
  setxattr,
  symlink,
  truncate,
  unlink,
  utimens,
  getxattr,
  copyrange,
  fchmod,
  fchown,
  fsetxattr,
  fsync,
  futimens,
  umask,
  write,
} from '../support/ops.js';
import type { Op } from '../support/ops.js';
import { dir, file, link as hard, merge, opaque, socket, symlink as sym, whiteout } from '../support/tree.js';
import type { Entry, Layer, Node, Stack } from '../support/tree.js';

/** A generator of uniform numbers (mulberry32) with the picks that a case needs. */
export class Random {
  constructor(private state: number) {}

  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let x = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError('picked from nothing');
    return item;
  }
}

const names = ['a', 'b', 'c', 'd', 'e\xff'] as const;
/** Who else than root does something; the first group of one is the other's second. */
const users = [
  [1000, 1000],
  [5, 7, 1000],
] as const;
const modes = [0o666, 0o644, 0o600, 0o755, 0o4755, 0o2711] as const;

function leaf(random: Random, mark: string): Entry {
  const roll = random.below(10);
  if (roll === 0) return sym(random.pick(['a', 'b/c', '../a', 'nowhere']));
  // No fifo: a write through one sets its mtime on a plain directory and not on overlayfs.
  if (roll === 1) return socket({ mode: 0o640 });
  return file(`${mark}:${random.below(1000)}`, {
    mode: random.pick(modes),
    ...(random.chance(0.3) ? { uid: random.pick(users)[0], gid: random.pick(users)[1] } : {}),
    ...(random.chance(0.3) ? { xattrs: { 'user.x': mark } } : {}),
  });
}

/**
 * One directory of a layer. Whiteouts are put only where a directory of a layer below is merged in: elsewhere the
 * kernel lists them, which is its own affair (see cases/layers.ts).
 */
function fillDir(
  random: Random,
  out: Record<string, Entry>,
  path: string,
  depth: number,
  mark: string,
  below: Node | undefined,
): void {
  const merged = below?.entry.type === 'dir' ? below : undefined;
  for (const name of names) {
    const at = path === '' ? name : `${path}/${name}`;
    const under = merged?.children.get(name);
    const roll = random.below(100);
    if (roll < 35) continue;
    if (roll < 45) {
      if (under) out[at] = whiteout();
    } else if (roll < 75 && depth < 3) {
      const cuts = random.chance(0.15);
      out[at] = cuts ? opaque() : dir({ mode: random.pick([0o755, 0o700, 0o777, 0o1777, 0o2777]) });
      fillDir(random, out, at, depth + 1, mark, cuts ? undefined : under);
    } else {
      const files = Object.keys(out).filter((each) => out[each]?.type === 'file');
      out[at] = files.length > 0 && random.chance(0.1) ? hard(random.pick(files)) : leaf(random, mark);
    }
  }
}

/** One to four lowers and, mostly, a filled upper. */
export function randomStack(random: Random): Stack {
  const layers: Layer[] = [];
  const count = 2 + random.below(4);
  for (let i = 0; i < count; i++) {
    const below = layers.length === 0 ? undefined : merge({ lower: layers });
    const layer: Record<string, Entry> = {};
    fillDir(random, layer, '', 1, `layer${i}`, below);
    layers.unshift(layer);
  }
  const [upper, ...lower] = layers;
  return random.chance(0.7) ? { upper, lower } : { lower: layers };
}

const path = (random: Random): string => Array.from({ length: 1 + random.below(3) }, () => random.pick(names)).join('/');
const time = (random: Random): string => random.pick(['now', 'omit', '1234567890123456789', '1000000000000000001']);

const flagsOf = ['', '', '', 'NOREPLACE', 'EXCHANGE'] as const;

/** Weighted makers of one operation. Fds are opened for writing: those for reading may rightly keep the lower file. */
const makers: readonly (readonly [number, (random: Random) => Op])[] = [
  [6, (r) => put(path(r), `put${r.below(1000)}`)],
  [4, (r) => append(path(r), `+${r.below(100)}`)],
  [4, (r) => cat(path(r))],
  [2, (r) => truncate(path(r), r.below(20))],
  [6, (r) => mkdir(path(r), r.pick([0o755, 0o700, 0o2755]))],
  [5, (r) => rmdir(path(r))],
  [8, (r) => unlink(path(r))],
  [14, (r) => rename(path(r), path(r), r.pick(flagsOf))],
  [4, (r) => link(path(r), path(r))],
  [2, (r) => symlink(r.pick(['a', 'b', '../c', 'x/y']), path(r))],
  [1, (r) => readlink(path(r))],
  [1, (r) => mknod(path(r), r.pick(['socket', 'file'] as const))],
  [3, (r) => chmod(path(r), r.pick([0o644, 0o755, 0o700, 0o6755]))],
  [2, (r) => chown(path(r), r.pick([0, 5, -1]), r.pick([0, 7, -1]))],
  [2, (r) => utimens(path(r), time(r), time(r))],
  [
    2,
    (r) => setxattr(path(r), r.pick(['user.x', 'trusted.y']), `v${r.below(9)}`, r.pick(['', '', 'CREATE', 'REPLACE'] as const)),
  ],
  [1, (r) => removexattr(path(r), r.pick(['user.x', 'trusted.y']))],
  [1, (r) => listxattr(path(r))],
  [1, (r) => getxattr(path(r), 'user.x')],
  [6, (r) => lstat(path(r))],
  [6, (r) => readdir(path(r))],
  [
    3,
    (r) =>
      open(
        r.pick(['f', 'g']),
        path(r),
        r.pick(['RDWR|NONBLOCK', 'RDWR|CREAT|NONBLOCK', 'RDWR|CREAT|EXCL|NONBLOCK', 'RDWR|TRUNC|NONBLOCK']),
      ),
  ],
  [1, (r) => open(r.pick(['f', 'g']), random3(r), 'RDWR|TMPFILE')],
  [2, (r) => linkfd(r.pick(['f', 'g']), path(r))],
  [3, (r) => pwrite(r.pick(['f', 'g']), r.below(30), `w${r.below(100)}`)],
  [2, (r) => pread(r.pick(['f', 'g']), 0, 100)],
  [1, (r) => ftruncate(r.pick(['f', 'g']), r.below(40))],
  [2, (r) => fstat(r.pick(['f', 'g']))],
  [1, (r) => fallocate(r.pick(['f', 'g']), r.pick(['', 'KEEP_SIZE', 'PUNCH_HOLE|KEEP_SIZE']), r.below(10), 1 + r.below(50))],
  [1, (r) => copyrange('f', 0, 'g', r.below(10), 5)],
  [1, (r) => close(r.pick(['f', 'g']))],
  [1, (r) => open(r.pick(['f', 'g']), path(r), 'RDWR|APPEND|CREAT|NONBLOCK', r.pick([0o666, 0o6777]))],
  [1, (r) => write(r.pick(['f', 'g']), `a${r.below(100)}`)],
  [1, (r) => fchmod(r.pick(['f', 'g']), r.pick([0o640, 0o6777]))],
  [1, (r) => fchown(r.pick(['f', 'g']), r.pick([0, 5, -1]), r.pick([0, 7, -1]))],
  [1, (r) => futimens(r.pick(['f', 'g']), time(r), time(r))],
  [1, (r) => fsetxattr(r.pick(['f', 'g']), 'user.x', `f${r.below(9)}`)],
  [1, (r) => fsync(r.pick(['f', 'g']))],
  [1, (r) => umask(r.pick([0o022, 0o077, 0, 0o027]))],
  [1, (r) => access(path(r), r.below(8))],
  [2, (r) => setxattr(path(r), ACCESS, randomAcl(r))],
  [2, (r) => setxattr(path(r), DEFAULT, randomAcl(r))],
  [1, (r) => removexattr(path(r), r.pick([ACCESS, DEFAULT]))],
  [1, (r) => chmod(path(r), r.pick([0o777, 0o1777, 0o2777]))],
];

function random3(random: Random): string {
  return random.chance(0.3) ? '.' : path(random);
}

function randomAcl(random: Random): string {
  return acl({
    owner: random.below(8),
    group: random.below(8),
    other: random.below(8),
    users: [[1000, random.below(8)]],
    mask: random.below(8),
  });
}

const total = makers.reduce((sum, [weight]) => sum + weight, 0);

/** The umask is the process's; a chown that changes nothing looks to a FUSE server like a write (DESIGN.md, limits). */
function isAnyones(op: Op): boolean {
  return op.op !== 'umask' && !(op.op === 'chown' && op['uid'] === -1 && op['gid'] === -1);
}

/** `count` operations; any outcome is right that all kinds of mount share. */
export function randomOps(random: Random, count: number): Op[] {
  return Array.from({ length: count }, () => {
    let roll = random.below(total);
    for (const [weight, make] of makers) {
      if (roll < weight) {
        const op = make(random);
        return any(random.chance(0.2) && isAnyones(op) ? by(random.pick(users), op) : op);
      }
      roll -= weight;
    }
    throw new RangeError('weights do not add up');
  });
}
