// The oracle's first mix: everything that is done to names, contents and attributes of small trees, a fifth of it by
// ordinary users. Called by mixes.ts.

import { ACCESS, acl, DEFAULT } from '../../support/acl.js';
import {
  access,
  append,
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
} from '../../support/ops.js';
import type { Maker } from './mixes.js';
import type { Random } from './random.js';
import { names } from './stacks.js';

/** A few look like the whiteouts of other formats; layers have none of those, for the kernel does not know them. */
const name = (random: Random): string => (random.chance(0.03) ? '.wh.' : '') + random.pick(names);

export const path = (random: Random): string => Array.from({ length: 1 + random.below(3) }, () => name(random)).join('/');
export const time = (random: Random): string => random.pick(['now', 'omit', '1234567890123456789', '1000000000000000001']);

const flagsOf = ['', '', '', 'NOREPLACE', 'EXCHANGE'] as const;

/** Weighted makers of one operation. Fds are opened for writing: those for reading may rightly keep the lower file. */
export const nameMakers: readonly Maker[] = [
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
