// The system calls of the addon: errnos as negative numbers, names as bytes, holes, attributes of the link itself.

import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { errno } from '../../src/abi/errno.js';
import { sys } from '../../src/native/load.js';
import {
  AT_FDCWD,
  AT_REMOVEDIR,
  DirentType,
  Mode,
  Open,
  Rename,
  Resolve,
  STAT_WORDS,
  Stat,
  Utime,
  exactTime,
} from '../../src/native/syscalls.js';
import { scratchDir } from '../support/paths.js';

/** A scratch directory and an fd on it. */
function scratch(t: Test): { path: string; fd: number } {
  const path = scratchDir();
  const fd = sys.openat2(AT_FDCWD, path, Open.RDONLY | Open.DIRECTORY, 0, 0);
  t.teardown(() => {
    sys.close(fd);
    rmSync(path, { recursive: true, force: true });
  });
  return { path, fd };
}

const stat = new BigInt64Array(STAT_WORDS);

void t.test('errnos come back as negative numbers', async (t) => {
  const { path, fd } = scratch(t);
  writeFileSync(join(path, 'file'), '');
  t.equal(sys.openat2(fd, 'absent', Open.RDONLY, 0, 0), -errno.ENOENT);
  t.equal(sys.openat2(fd, 'file', Open.CREAT | Open.EXCL | Open.RDWR, 0o600, 0), -errno.EEXIST);
  t.equal(sys.openat2(fd, 'file/x', Open.RDONLY, 0, 0), -errno.ENOTDIR);
  t.equal(sys.openat2(fd, 'x'.repeat(256), Open.RDONLY, 0, 0), -errno.ENAMETOOLONG);
  t.equal(sys.mkdirat(fd, 'file', 0o755), -errno.EEXIST);
  t.equal(sys.unlinkat(fd, 'file', AT_REMOVEDIR), -errno.ENOTDIR);
  t.equal(sys.readlinkat(fd, 'file'), -errno.EINVAL);
  t.equal(sys.statx(fd, 'absent', stat), -errno.ENOENT);
  t.equal(sys.close(12345), -errno.EBADF);
  t.equal(sys.readdir(12345), -errno.EBADF);
  t.equal(sys.getxattr(fd, 'file', 'user.absent'), -errno.ENODATA);
  t.equal(sys.getxattr(fd, 'absent', 'user.absent'), -errno.ENOENT);
  t.equal(sys.removexattr(fd, 'file', 'user.absent'), -errno.ENODATA);
  t.equal(sys.symlinkat('to', fd, 'file'), -errno.EEXIST);
});

void t.test('openat2 stays where it is told to', async (t) => {
  const { fd } = scratch(t);
  sys.symlinkat('/etc', fd, 'out');
  sys.mkdirat(fd, 'etc', 0o755);
  t.equal(sys.openat2(fd, 'out', Open.RDONLY, 0, Resolve.NO_SYMLINKS), -errno.ELOOP);
  t.equal(sys.openat2(fd, '../x', Open.RDONLY, 0, Resolve.BENEATH), -errno.EXDEV);
  const inside = sys.openat2(fd, 'out', Open.RDONLY | Open.DIRECTORY, 0, Resolve.IN_ROOT);
  sys.statx(fd, 'etc', stat);
  const wanted = stat[Stat.ino];
  sys.statx(inside, '', stat);
  t.equal(stat[Stat.ino], wanted, "an absolute link leads into the root's own etc");
  sys.close(inside);
});

void t.test('every fd is closed on exec', async (t) => {
  const { fd } = scratch(t);
  const pair = sys.socketpair();
  const fds = [fd, sys.eventfd(), ...(typeof pair === 'number' ? [] : pair)];
  t.equal(fds.length, 4);
  for (const each of fds) {
    const flags = /flags:\s*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${each}`, 'utf8'))?.[1] ?? '0';
    t.ok(parseInt(flags, 8) & 0o2000000, `O_CLOEXEC on ${each}`);
  }
  for (const each of fds.slice(1)) sys.close(each);
});

void t.test('names are bytes', async (t) => {
  const { path, fd } = scratch(t);
  const names = ['\xff\xfe', 'a\nb', '\xe9'.repeat(255), Buffer.from('ü💾').toString('latin1'), '\x01\x7f\x80'];
  for (const name of names) {
    t.equal(sys.mknodat(fd, name, Mode.REG | 0o600, 0n), 0);
    t.equal(sys.statx(fd, name, stat), 0);
    t.equal(sys.setxattr(fd, name, 'user.\xff', Buffer.from([0, 255, 10]), 0), 0);
    t.same(sys.getxattr(fd, name, 'user.\xff'), Buffer.from([0, 255, 10]));
    t.same(sys.listxattr(fd, name), ['user.\xff']);
  }
  t.equal(statSync(Buffer.from(`${path}/\xff\xfe`, 'latin1')).size, 0, 'as the kernel sees them');
  const listing = sys.readdir(fd);
  if (typeof listing === 'number') return t.fail('readdir');
  t.same([...listing.names].sort(), [...names].sort());
  t.equal(sys.symlinkat('\xff/\xfe', fd, 'link'), 0);
  t.equal(sys.readlinkat(fd, 'link'), '\xff/\xfe');
});

void t.test('statx fills what it says', async (t) => {
  const { fd } = scratch(t);
  sys.mknodat(fd, 'null', Mode.CHR | 0o640, (1n << 32n) | 300n);
  sys.fchownat(fd, 'null', 4_000_000_000, 65_534);
  sys.utimensat(fd, 'null', -1n, 1_234_567_890_123_456_789n);
  t.equal(sys.statx(fd, 'null', stat), 0);
  t.equal(stat[Stat.mode], BigInt(Mode.CHR | 0o640));
  t.equal(stat[Stat.rdev], (1n << 32n) | 300n);
  t.equal(stat[Stat.uid], 4_000_000_000n);
  t.equal(stat[Stat.gid], 65_534n);
  t.equal(stat[Stat.atime], -1n, 'a nanosecond before the epoch');
  t.equal(stat[Stat.mtime], 1_234_567_890_123_456_789n);
  t.equal(sys.utimensat(fd, 'null', Utime.OMIT, 5n), 0);
  sys.statx(fd, 'null', stat);
  t.equal(stat[Stat.atime], -1n);
  t.equal(stat[Stat.mtime], 5n);
  const far = 10_413_792_000_000_000_123n; // the year 2300
  t.equal(sys.utimensat(fd, 'null', -1n, far), 0);
  sys.statx(fd, 'null', stat);
  t.equal(stat[Stat.mtime], (1n << 63n) - 1n, 'as far as 64 bits go');
  t.same([exactTime(stat, 'atime'), exactTime(stat, 'mtime')], [-1n, far]);
});

void t.test('a final symlink is never followed', async (t) => {
  const { fd } = scratch(t);
  sys.mknodat(fd, 'file', Mode.REG | 0o600, 0n);
  sys.symlinkat('file', fd, 'link');
  t.equal(sys.fchownat(fd, 'link', 7, 8), 0);
  t.equal(sys.utimensat(fd, 'link', 1n, 2n), 0);
  t.equal(sys.setxattr(fd, 'link', 'trusted.on', Buffer.from('link'), 0), 0);
  t.equal(sys.setxattr(fd, 'link', 'user.no', Buffer.from('x'), 0), -errno.EPERM, 'user.* is for files and directories');
  t.same(sys.listxattr(fd, 'link'), ['trusted.on']);
  t.same(sys.listxattr(fd, 'file'), []);
  sys.statx(fd, 'link', stat);
  t.same([stat[Stat.uid], stat[Stat.mtime]], [7n, 2n]);
  sys.statx(fd, 'file', stat);
  t.equal(stat[Stat.uid], 0n);
  t.equal(sys.fchmodat(fd, 'link', 0o777), -errno.EOPNOTSUPP);

  const link = sys.openat2(fd, 'link', Open.PATH | Open.NOFOLLOW, 0, 0);
  t.same(sys.getxattr(link, '', 'trusted.on'), Buffer.from('link'), 'nor by an fd on the link itself');
  t.equal(sys.readlinkat(link, ''), 'file');
  t.equal(sys.removexattr(link, '', 'trusted.on'), 0);
  t.same(sys.listxattr(fd, 'link'), []);
  sys.close(link);
});

void t.test('an fd without a name: mode, attributes, further names', async (t) => {
  const { path, fd } = scratch(t);
  writeFileSync(join(path, 'file'), 'x');
  const file = sys.openat2(fd, 'file', Open.PATH | Open.NOFOLLOW, 0, 0);
  t.equal(sys.fchmodat(file, '', 0o6711), 0);
  t.equal(sys.setxattr(file, '', 'user.a', Buffer.from('1'), 0), 0);
  t.equal(sys.linkat(file, '', fd, 'second'), 0);
  sys.statx(fd, 'second', stat);
  t.equal(Number(stat[Stat.mode]) & 0o7777, 0o6711);
  t.equal(stat[Stat.nlink], 2n);
  t.same(sys.getxattr(fd, 'second', 'user.a'), Buffer.from('1'));
  sys.close(file);
});

void t.test('attributes: flags, long values, many names', async (t) => {
  const { fd } = scratch(t);
  sys.mknodat(fd, 'f', Mode.REG | 0o600, 0n);
  const value = Buffer.from('v');
  t.equal(sys.setxattr(fd, 'f', 'user.a', value, 2), -errno.ENODATA, 'XATTR_REPLACE');
  t.equal(sys.setxattr(fd, 'f', 'user.a', value, 1), 0);
  t.equal(sys.setxattr(fd, 'f', 'user.a', value, 1), -errno.EEXIST, 'XATTR_CREATE');
  const long = Buffer.alloc(3000, 'y');
  t.equal(sys.setxattr(fd, 'f', 'user.a', long, 0), 0);
  t.same(sys.getxattr(fd, 'f', 'user.a'), long);
  t.equal(sys.setxattr(fd, 'f', 'user.a', Buffer.alloc(0), 0), 0);
  t.same(sys.getxattr(fd, 'f', 'user.a'), Buffer.alloc(0));
  const names = Array.from({ length: 40 }, (_, i) => `user.${'n'.repeat(40)}${i}`);
  for (const name of names) t.equal(sys.setxattr(fd, 'f', name, Buffer.alloc(1), 0), 0);
  t.same((sys.listxattr(fd, 'f') as string[]).sort(), ['user.a', ...names].sort(), 'a list beyond the first buffer');
});

void t.test('renameat2 and its flags', async (t) => {
  const { path, fd } = scratch(t);
  writeFileSync(join(path, 'a'), 'A');
  writeFileSync(join(path, 'b'), 'B');
  t.equal(sys.renameat2(fd, 'a', fd, 'b', Rename.NOREPLACE), -errno.EEXIST);
  t.equal(sys.renameat2(fd, 'a', fd, 'b', Rename.EXCHANGE), 0);
  t.equal(readFileSync(join(path, 'a'), 'utf8'), 'B');
  t.equal(sys.renameat2(fd, 'a', fd, 'absent', Rename.EXCHANGE), -errno.ENOENT);
  t.equal(sys.renameat2(fd, 'a', fd, 'c', Rename.WHITEOUT), 0);
  sys.statx(fd, 'a', stat);
  t.same([Number(stat[Stat.mode]) & Mode.FMT, stat[Stat.rdev]], [Mode.CHR, 0n], 'a whiteout is left');
  t.equal(sys.renameat2(fd, 'c', fd, 'b', 0), 0);
  t.equal(readFileSync(join(path, 'b'), 'utf8'), 'B');
  t.equal(sys.renameat2(fd, 'b', fd, 'c', Rename.EXCHANGE | Rename.NOREPLACE), -errno.EINVAL);
});

void t.test('readdir: all names with their types, from the start each time', async (t) => {
  const { fd } = scratch(t);
  sys.mkdirat(fd, 'dir', 0o755);
  sys.symlinkat('x', fd, 'link');
  sys.mknodat(fd, 'fifo', Mode.FIFO | 0o600, 0n);
  for (let i = 0; i < 3000; i++) sys.mknodat(fd, `file${i}`, Mode.REG | 0o600, 0n);
  for (let round = 0; round < 2; round++) {
    const listing = sys.readdir(fd);
    if (typeof listing === 'number') return t.fail(`errno ${-listing}`);
    t.equal(listing.names.length, 3003);
    t.equal(new Set(listing.names).size, 3003);
    t.notOk(listing.names.includes('.') || listing.names.includes('..'));
    const type = (name: string): number | undefined => listing.types[listing.names.indexOf(name)];
    t.same(
      [type('dir'), type('link'), type('fifo'), type('file7')],
      [DirentType.DIR, DirentType.LNK, DirentType.FIFO, DirentType.REG],
    );
    // Pairs of an offset and the names up to there: ends with all of them.
    t.equal(listing.offsets.length, 2 * 3005);
    t.equal(listing.offsets.at(-1), 3003n);
  }
});

interface Copied {
  from: string;
  to: string;
  result: number;
}

function copy(t: Test, fill: (fd: number) => void, length: bigint): Copied {
  const { path, fd } = scratch(t);
  const src = sys.openat2(fd, 'src', Open.CREAT | Open.RDWR, 0o600, 0);
  const dst = sys.openat2(fd, 'dst', Open.CREAT | Open.RDWR, 0o600, 0);
  fill(src);
  const result = sys.copyData(src, dst, length);
  sys.close(src);
  sys.close(dst);
  return { from: join(path, 'src'), to: join(path, 'dst'), result };
}

const MB = 1n << 20n;
const sparse = (fd: number): void => {
  sys.pwrite(fd, Buffer.alloc(5000, 'a'), 0n);
  sys.pwrite(fd, Buffer.alloc(5000, 'b'), 8n * MB);
  sys.ftruncate(fd, 64n * MB);
};

void t.test('copyData copies data and leaves holes', async (t) => {
  const { from, to, result } = copy(t, sparse, -1n);
  t.equal(result, 0);
  t.ok(readFileSync(from).equals(readFileSync(to)));
  t.equal(statSync(to).size, 64 << 20);
  t.ok(statSync(to).blocks <= statSync(from).blocks + 16, `${statSync(to).blocks} of ${statSync(from).blocks} blocks`);
});

void t.test('copyData copies a part', async (t) => {
  for (const length of [0n, 1n, 4999n, 5000n, 6000n, 8n * MB + 10n]) {
    const { from, to, result } = copy(t, sparse, length);
    t.equal(result, 0);
    t.ok(readFileSync(to).equals(readFileSync(from).subarray(0, Number(length))), `${length} bytes`);
  }
  const beyond = copy(t, (fd) => sys.pwrite(fd, Buffer.from('short'), 0n), 100n);
  t.equal(readFileSync(beyond.to, 'utf8'), 'short', 'no more than there is');
});

void t.test('copyData of nothing but a hole, and of nothing', async (t) => {
  const hole = copy(t, (fd) => sys.ftruncate(fd, 3n * MB), -1n);
  t.same([hole.result, statSync(hole.to).size, statSync(hole.to).blocks], [0, 3 << 20, 0]);
  const empty = copy(t, () => undefined, -1n);
  t.same([empty.result, statSync(empty.to).size], [0, 0]);
});

void t.test('copyData crosses filesystems and reads what has no length', async (t) => {
  const { path, fd } = scratch(t);
  const dst = sys.openat2(fd, 'dst', Open.CREAT | Open.RDWR, 0o600, 0);
  const memory = sys.openat2(AT_FDCWD, '/dev/shm', Open.TMPFILE | Open.RDWR, 0o600, 0);
  if (memory < 0) return t.fail(`/dev/shm: errno ${-memory}`);
  sys.pwrite(memory, Buffer.from('over here'), 4096n);
  t.equal(sys.copyData(memory, dst, -1n), 0);
  t.equal(readFileSync(join(path, 'dst'), 'latin1'), `${'\0'.repeat(4096)}over here`);
  sys.close(memory);
  sys.close(dst);
});

void t.test('copyData: errors', async (t) => {
  const { fd } = scratch(t);
  const file = sys.openat2(fd, 'f', Open.CREAT | Open.RDWR, 0o600, 0);
  sys.pwrite(file, Buffer.from('x'), 0n);
  const readOnly = sys.openat2(fd, 'g', Open.CREAT | Open.RDONLY, 0o600, 0);
  t.equal(sys.copyData(12345, file, -1n), -errno.EBADF);
  t.equal(sys.copyData(file, readOnly, -1n), -errno.EBADF);
  sys.close(file);
  sys.close(readOnly);
});

void t.test('a handle names the file, whatever its name', async (t) => {
  const { fd } = scratch(t);
  sys.mknodat(fd, 'a', Mode.REG | 0o600, 0n);
  sys.linkat(fd, 'a', fd, 'b');
  sys.mknodat(fd, 'c', Mode.REG | 0o600, 0n);
  t.match(sys.nameToHandle(fd, 'a'), /^[0-9a-f]+$/);
  t.equal(sys.nameToHandle(fd, 'a'), sys.nameToHandle(fd, 'b'));
  t.not(sys.nameToHandle(fd, 'a'), sys.nameToHandle(fd, 'c'));
});

void t.test('flock excludes another open of the same file', async (t) => {
  const { fd } = scratch(t);
  const [one, two] = [0, 0].map(() => sys.openat2(fd, 'lock', Open.CREAT | Open.RDWR, 0o600, 0)) as [number, number];
  t.equal(sys.flock(one, 2 | 4), 0);
  t.equal(sys.flock(two, 2 | 4), -errno.EAGAIN);
  sys.close(one);
  t.equal(sys.flock(two, 2 | 4), 0);
  sys.close(two);
});

void t.test('arguments of the wrong kind do not end the process', async (t) => {
  const call = sys.openat2 as (...args: unknown[]) => unknown;
  for (const args of [[], [undefined], ['x', 1], [AT_FDCWD, 5, 'x'], [AT_FDCWD, '/', null, {}, []]]) {
    t.doesNotThrow(() => {
      try {
        const fd = call(...args);
        if (typeof fd === 'number' && fd >= 0) sys.close(fd);
      } catch {
        // A TypeError is as good.
      }
    });
  }
});
