// What the layers on disk mean: whiteouts and opaque marks in every format, objects that change type from layer to
// layer, many layers, odd names, links, and directories that are read while they change.

import {
  any, append, cat, chmod, chown, close, drain, exists, fails, fstat, gives, ino, link, lstat, mkdir, mknod, open, put, readdir, readlink, rename, rmdir, seekdirs, stat, statfs, symlink,
  unlink, direntinos, freaddir, utimens, setxattr, listxattr, write,
} from '../../support/ops.js';
import type { Op } from '../../support/ops.js';
import { acl, DEFAULT } from '../../support/acl.js';
import { chr, dir, fifo, file, link as hard, opaque, symlink as sym, whiteout } from '../../support/tree.js';
import type { Entry, Layer, OpaqueFormat, WhiteoutFormat } from '../../support/tree.js';
import type { Case } from '../run.js';

const notTheKernels = { differs: { overlay: 'the kernel does not read this format' }, kernelTree: 'the kernel does not read this format' } as const;

const look: readonly Op[] = [readdir('d'), any(lstat('d/n')), any(cat('d/n')), any(readdir('d/n')), gives([], direntinos('d')), gives([], seekdirs('d'))];
const replace: readonly Op[] = [any(put('d/n', 'new')), any(cat('d/n')), any(unlink('d/n')), readdir('d'), any(mkdir('d/n')), any(readdir('d/n')), any(rmdir('d/n')), readdir('d'), any(rename('d/keep', 'd/n')), readdir('d'), rename('d', 'e'), readdir('e')];

/** The kernel filters whiteouts only where it merges. */
const bare = { differs: { overlay: 'the kernel lists the whiteouts of a directory that only one layer has' }, kernelTree: 'the kernel lists the whiteouts of a directory that only one layer has' } as const;

function whiteoutCases(format: WhiteoutFormat): Case[] {
  const kernel = format === 'wh' ? notTheKernels : {};
  const below: Layer = { 'd/n': file('gone'), 'd/keep': file('kept') };
  const belowDir: Layer = { 'd/n/x': file('gone'), 'd/keep': file('kept') };
  const cases: Case[] = [
    { name: `${format} whiteout in the first lower`, stack: { lower: [{ 'd/n': whiteout(format) }, below] }, ops: [...look, ...replace] },
    { name: `${format} whiteout of a directory`, stack: { lower: [{ 'd/n': whiteout(format) }, belowDir] }, ops: [...look, ...replace] },
    { name: `${format} whiteout below a file of the same name`, stack: { lower: [{ 'd/n': file('above') }, { 'd/n': whiteout(format) }, below] }, ops: [...look, ...replace] },
    { name: `${format} whiteout between two directories`, stack: { lower: [{ 'd/n/a': file('above') }, { 'd/n': whiteout(format), 'd/x': file() }, belowDir] }, ops: [...look, any(rmdir('d/n')), any(unlink('d/n/a')), any(rmdir('d/n')), any(mkdir('d/n')), any(readdir('d/n'))] },
    { name: `${format} whiteout with nothing below`, stack: { lower: [{ 'd/n': whiteout(format), 'd/keep': file() }] }, ops: [...look, ...replace], ...bare },
    { name: `${format} whiteouts empty a directory, which can then be removed`, stack: { lower: [{ 'd/n': whiteout(format), 'd/keep': whiteout(format) }, below] }, ops: [gives([], readdir('d')), rmdir('d'), mkdir('d'), gives([], readdir('d')), put('d/n', 'x'), readdir('d')], ...(format === 'xattr' ? bare : {}) },
  ];
  const inUpper: Case = { name: `${format} whiteout in upper`, stack: { lower: [below], upper: { 'd/n': whiteout(format) } }, ops: [...look, ...replace] };
  return [...cases, ...(format === 'xattr' ? [] : [inUpper])].map((item) => ({ ...item, ...kernel }));
}

function opaqueCases(format: OpaqueFormat): Case[] {
  const kernel = format === 'trusted' ? {} : notTheKernels;
  const below: Layer = { 'd/n/x': file('hidden'), 'd/n/s/t': file('hidden'), 'd/keep': file() };
  const steps = [...look, gives(false, exists('d/n/x')), put('d/n/x', 'mine'), readdir('d/n'), mkdir('d/n/s'), gives([], readdir('d/n/s')), rename('d/n', 'd/m'), readdir('d/m'), chmod('d/m', 0o700), mkdir('d/n'), gives([], readdir('d/n'))];
  return [
    { name: `${format} opaque directory in upper`, stack: { lower: [below], upper: { 'd/n': opaque(format), 'd/n/own': file() } }, ops: steps, ...kernel },
    { name: `${format} opaque directory in a lower`, stack: { lower: [{ 'd/n/top': file() }, { 'd/n': opaque(format), 'd/n/own': file() }, below] }, ops: steps, ...kernel },
    { name: `${format} opaque empty directory is removed`, stack: { lower: [{ 'd/n': opaque(format) }, below] }, ops: [gives([], readdir('d/n')), rmdir('d/n'), readdir('d'), mkdir('d/n'), gives([], readdir('d/n'))], ...kernel },
    { name: `${format} opaque parent of whiteouts`, stack: { lower: [{ 'd': opaque(format), 'd/a': file() }, { 'd/a/b': file(), 'd/c': file() }] }, ops: [readdir('d'), cat('d/a'), unlink('d/a'), gives([], readdir('d')), rmdir('d')], ...kernel },
  ];
}

const typesOfEntry: Readonly<Record<string, Layer>> = {
  'file': { n: file('F') },
  'directory': { 'n/x': file('in dir') },
  'symlink': { n: sym('elsewhere') },
  'fifo': { n: fifo() },
  'device': { n: chr(1, 3) },
};

const inD = (layer: Layer): Layer => Object.fromEntries(Object.entries(layer).map(([path, entry]) => [`d/${path}`, entry]));

/** Each type over each other type, in lowers and in upper. */
export const typeChangeCases: readonly Case[] = Object.entries(typesOfEntry).flatMap(([top, first]) =>
  Object.entries(typesOfEntry).flatMap(([under, second]): Case[] => {
    const steps = [...look.slice(0, 2), any(cat('d/n')), any(readlink('d/n')), any(readdir('d/n')), chmod('d', 0o750), any(append('d/n', '+')), any(rename('d/n', 'd/m')), readdir('d'), any(readdir('d/m')), any(mkdir('d/n')), any(readdir('d/n'))];
    const harmless = top === 'device' || top === 'fifo' ? steps.filter((op) => op.op !== 'cat' && op.op !== 'append') : steps;
    return [
      { name: `${top} over ${under}, lowers`, stack: { lower: [inD(first), inD(second)] }, ops: harmless },
      { name: `${top} over ${under}, upper`, stack: { lower: [inD(second)], upper: inD(first) }, ops: harmless },
      { name: `${top} over ${under} over directory`, stack: { lower: [inD(first), inD(second), { 'd/n/deep': file('deep') }] }, ops: harmless },
    ];
  }),
);

export const formatCases: readonly Case[] = [
  ...(['char', 'wh', 'xattr'] as const).flatMap(whiteoutCases),
  ...(['trusted', 'user', 'fuseoverlayfs', 'wh'] as const).flatMap(opaqueCases),
];

const twenty: readonly Layer[] = Array.from({ length: 20 }, (_, i): Layer => ({
  'd/same': file(`layer ${i}`, { mode: 0o600 + i }),
  [`d/only${i}`]: file(`only ${i}`),
  [`d/dir${i}/x`]: file(`x ${i}`),
  [`d/merged/m${i}`]: file(`m ${i}`),
  ...(i % 5 === 3 ? { [`d/only${i + 1}`]: whiteout() } : {}),
  ...(i === 12 ? { 'd/cut': opaque() } : {}),
  [`d/cut/c${i}`]: file(),
}));

export const manyLayerCases: readonly Case[] = [
  { name: '20 layers: what shows', stack: { lower: twenty }, ops: [readdir('d'), readdir('d/merged'), readdir('d/cut'), cat('d/same'), stat('d/same'), cat('d/only17'), fails('ENOENT', lstat('d/only4')), gives([], direntinos('d/merged')), gives([], seekdirs('d'))] },
  { name: '20 layers: changes', stack: { lower: twenty }, ops: [append('d/same', '!'), cat('d/same'), append('d/only17', '!'), unlink('d/merged/m7'), readdir('d/merged'), rename('d/merged', 'd/moved'), readdir('d/moved'), put('d/only4', 'back'), cat('d/only4'), rename('d/dir18', 'd/dir2'), any(rename('d/dir18/x', 'd/dir2/y')), readdir('d/dir2')].map(any) },
  { name: '20 layers: everything is removed', stack: { lower: twenty }, ops: [...['merged', 'cut', ...Array.from({ length: 20 }, (_, i) => `dir${i}`)].flatMap((name) => [drain(`d/${name}`), rmdir(`d/${name}`)]), drain('d'), gives([], readdir('d')), rmdir('d'), mkdir('d'), gives([], readdir('d'))] },
];

const long = 'n'.repeat(255);
const bytes = '\xff\xfe not \xc3 utf8 \x80';
const odd: Readonly<Record<string, Entry>> = { [long]: file('long'), [bytes]: file('bytes'), 'a b': file('space'), 'tab\tnew\nline': file('control'), '\\040': file('backslash'), '-rf': file('dash'), 'caf\xc3\xa9': file('utf8'), 'cafe\xcc\x81': file('combining'), ' ': file('blank'), '...': file('dots'), 'A': file('upper case'), 'a': file('lower case') };

export const nameCases: readonly Case[] = [
  { name: 'odd names in a lower', stack: { lower: [inD(odd)] }, ops: [readdir('d'), ...Object.keys(odd).map((name) => cat(`d/${name}`)), ...Object.keys(odd).map((name) => rename(`d/${name}`, `d/${name.slice(0, 200)}.moved`)), readdir('d')] },
  { name: 'odd names made and removed', stack: { lower: [{ 'd/x': file() }] }, ops: [...Object.keys(odd).map((name) => put(`d/${name}`, name)), readdir('d'), ...Object.keys(odd).map((name) => unlink(`d/${name}`)), readdir('d')] },
  { name: 'odd names whited out', stack: { lower: [inD(odd)] }, ops: [...Object.keys(odd).map((name) => unlink(`d/${name}`)), gives([], readdir('d')), ...Object.keys(odd).map((name) => mkdir(`d/${name}`)), readdir('d')] },
  { name: 'odd directory names are renamed', stack: { lower: [{ [`${long}/x`]: file('1'), [`${bytes}/y/z`]: file('2'), 'tab\tnew\nline/x': file('3'), ':,\\/x': file('4') }] }, ops: [rename(long, 'm'.repeat(255)), cat(`${'m'.repeat(255)}/x`), rename(bytes, `${bytes}2`), cat(`${bytes}2/y/z`), rename(`${bytes}2/y`, `${bytes}y`), cat(`${bytes}y/z`), rename('tab\tnew\nline', 't\n'), cat('t\n/x'), rename(':,\\', ':,\\2'), cat(':,\\2/x')] },
  { name: '256 bytes are too many', stack: { lower: [{ 'd/x': file() }] }, ops: [fails('ENAMETOOLONG', put(`d/${long}n`, '')), fails('ENAMETOOLONG', lstat(`d/${long}n`)), fails('ENAMETOOLONG', mkdir(`d/${long}n`)), fails('ENAMETOOLONG', rename('d/x', `d/${long}n`)), fails('ENAMETOOLONG', symlink('x', `d/${long}n`)), fails('ENAMETOOLONG', link('d/x', `d/${long}n`))] },
  { name: 'long and odd symlinks', stack: { lower: [{ 'l': sym('x'.repeat(4000)), 'b': sym(bytes), 'c': sym('/'), 'loop': sym('loop'), 'd/f': file('F'), 'rel': sym('d/../d/f') }] }, ops: [readlink('l'), readlink('b'), lstat('l'), fails('ELOOP', stat('loop')), fails('ELOOP', put('loop', '')), cat('rel'), symlink('y'.repeat(4095), 'n'), readlink('n'), lstat('n'), fails('ENAMETOOLONG', symlink('y'.repeat(4096), 'm')), fails('ENOENT', symlink('', 'm')), fails('EINVAL', readlink('d/f')), rename('l', 'l2'), readlink('l2'), symlink(bytes, `d/${bytes}`), readlink(`d/${bytes}`)] },
];

const many = (count: number, prefix: string): Layer => Object.fromEntries(Array.from({ length: count }, (_, i) => [`d/${prefix}${i}`, i % 7 === 0 ? dir() : file(`${i}`)]));

export const readdirCases: readonly Case[] = [
  { name: 'rm -rf of a big lower directory', stack: { lower: [many(300, 'name-of-a-lower-entry-')] }, ops: [gives({ removed: 300, twice: 0 }, drain('d')), gives([], readdir('d')), rmdir('d')] },
  { name: 'rm -rf of a big merged directory', stack: { lower: [many(150, 'a'), many(150, 'b')], upper: many(150, 'c') }, ops: [gives({ removed: 450, twice: 0 }, drain('d', 4096)), gives([], readdir('d')), rmdir('d')] },
  { name: 'rm -rf of a big new directory', stack: { lower: [{}] }, ops: [mkdir('d'), ...Array.from({ length: 120 }, (_, i) => put(`d/file${i}`, '')), gives({ removed: 120, twice: 0 }, drain('d')), rmdir('d')] },
  { name: 'seekdir in a big merged directory', stack: { lower: [many(60, 'a'), many(60, 'b')], upper: many(60, 'c') }, ops: [gives([], seekdirs('d')), readdir('d', 300), readdir('d', 1 << 16), gives([], direntinos('d'))] },
  { name: 'a listing that is read again after changes', stack: { lower: [many(20, 'a')], upper: many(20, 'c') }, ops: [open('a', 'd', 'RDONLY|DIRECTORY'), freaddir('a'), unlink('d/a1'), put('d/new', ''), rename('d/a2', 'd/a2-moved'), freaddir('a'), readdir('d')] },
  { name: 'find(1) trusts the link counts of directories', stack: { lower: [{ 'd/s/t/u/f': file(), 'd/u/v': dir() }, { 'd/s/w/x': dir() }] }, ops: [mkdir('d/o'), mkdir('d/o/p'), mkdir('d/u/q'), rename('d/s', 'd/r'), { op: 'run', argv: ['sh', '-c', 'find . -type d | sort'] }] },
  { name: 'ino stays while the cache is dropped and filled', stack: { lower: [{ 'd/a': file('a'), 'd/s/b': file('b') }] }, ops: [ino('d'), ino('d/a'), ino('d/s'), ino('d/s/b'), { op: 'run', argv: ['sh', '-c', 'find . >/dev/null; ls -laR >/dev/null'] }, gives(0, ino('d')), gives(1, ino('d/a')), gives(2, ino('d/s')), gives(3, ino('d/s/b')), chmod('d', 0o700), append('d/s/b', '!'), gives(0, ino('d')), gives(2, ino('d/s')), gives(3, ino('d/s/b')), rename('d/s', 'd/t'), gives(2, ino('d/t')), gives(3, ino('d/t/b'))] },
  { name: 'delete and make again, file, directory, file', stack: { lower: [{ 'd/n': file('first') }] }, ops: [unlink('d/n'), mkdir('d/n'), put('d/n/x', '1'), fails('ENOTEMPTY', rmdir('d/n')), unlink('d/n/x'), rmdir('d/n'), put('d/n', 'file'), cat('d/n'), unlink('d/n'), symlink('x', 'd/n'), unlink('d/n'), mkdir('d/n'), gives([], readdir('d/n'))] },
  { name: 'delete and make again, directory, file, directory', stack: { lower: [{ 'd/n/x': file('hidden'), 'd/n/s/t': file('hidden') }] }, ops: [unlink('d/n/x'), unlink('d/n/s/t'), rmdir('d/n/s'), rmdir('d/n'), put('d/n', 'file'), unlink('d/n'), mkdir('d/n'), gives([], readdir('d/n')), mkdir('d/n/s'), gives([], readdir('d/n/s')), put('d/n/s/t', 'new'), rename('d/n', 'd/m'), readdir('d/m/s')] },
  { name: 'renamed directories, nested, swapped and refilled', stack: { lower: [{ 'a/b/c/f': file('f'), 'x/y/g': file('g') }] }, ops: [rename('a/b', 'x/b'), cat('x/b/c/f'), rename('x', 'z'), cat('z/b/c/f'), cat('z/y/g'), rename('z/b/c', 'c'), cat('c/f'), mkdir('a/b'), rename('c', 'a/b/c'), append('a/b/c/f', '!'), gives('f!', cat('a/b/c/f')), rename('a', 'z', 'EXCHANGE'), cat('z/b/c/f'), cat('a/y/g'), mkdir('x'), gives([], readdir('x')), readdir('a/b')] },
  { name: 'a directory takes the place of a removed one that had been merged', stack: { lower: [{ 'd/s/low': file() }], upper: { 'd/s/up': file(), 'e/n': file('n') } }, ops: [unlink('d/s/low'), unlink('d/s/up'), rmdir('d/s'), rename('e', 'd/s'), gives([['n', 'file']], readdir('d/s'))] },
  { name: 'a lower directory is renamed over an emptied lower one', stack: { lower: [{ 'd/s/low': file('s'), 'e/n': file('n') }] }, ops: [unlink('d/s/low'), rename('e', 'd/s'), gives([['n', 'file']], readdir('d/s')), cat('d/s/n'), fails('ENOENT', lstat('e')), mkdir('e'), gives([], readdir('e'))] },
  { name: 'rename WHITEOUT leaves nothing to see', stack: { lower: [{ 'd/f': file('F'), 'd/g': file('G') }], upper: { 'd/u': file('U') } }, differs: { plain: 'a plain directory then shows a device 0:0', overlay: 'the kernel refuses the flag' }, ops: [rename('d/f', 'd/m', 'WHITEOUT'), rename('d/u', 'd/v', 'WHITEOUT'), fails('ENOENT', lstat('d/f')), fails('ENOENT', lstat('d/u')), gives([['g', 'file'], ['m', 'file'], ['v', 'file']], readdir('d')), gives('F', cat('d/m')), rename('d/m', 'd/g', 'WHITEOUT'), gives('F', cat('d/g')), put('d/f', 'again'), gives('again', cat('d/f'))] },
  { name: 'a device 0:0 cannot be made where it would be a whiteout', stack: { lower: [{ 'd/f': file('F') }] }, differs: { plain: 'a plain directory then shows a device 0:0' }, ops: [any({ op: 'mknod', path: 'd/wh', type: 'chr', mode: 0o644, rdev: [0, 0] }), readdir('d')] },
  { name: 'all names of a linked lower file go while it is open for writing', stack: { lower: [{ 'd/a': file('A'), 'e/b': hard('d/a') }, { 'd/x': file(), 'e/x': file() }] }, ops: [unlink('e/b'), open('f', 'd/a', 'RDWR'), unlink('d/a'), fstat('f'), write('f', 'more'), fstat('f'), close('f'), readdir('d'), readdir('e')] },
  { name: 'hard links over three layers', stack: { lower: [{ 'd/a': file('top'), 'd/b': hard('d/a') }, { 'd/a': file('low'), 'd/c': hard('d/a') }] }, differs: { plain: 'the lower link count still counts the hidden name' }, kernelTree: 'links/ is not the index of the kernel, which counts the hidden name', ops: [stat('d/a'), stat('d/b'), stat('d/c'), cat('d/c'), unlink('d/a'), cat('d/b')] },
];

/** What the oracle found, made small. */
export const foundCases: readonly Case[] = [
  { name: 'a relative redirect beside the whiteout of the old name', stack: { lower: [{ 'd/old/f': file('F'), 'd/old/g': file('G') }], upper: { 'd/new': dir({ xattrs: { 'trusted.overlay.redirect': 'old' } }), 'd/new/g': file('upper'), 'd/old': whiteout() } }, differs: { plain: 'a redirect is for overlays' }, ops: [gives([['f', 'file'], ['g', 'file']], readdir('d/new')), cat('d/new/f'), gives('upper', cat('d/new/g')), fails('ENOENT', lstat('d/old')), rename('d/new', 'd/newer'), cat('d/newer/f')] },
  { name: 'mkdir over a whiteout in a setgid directory', stack: { lower: [{ 'd/s': file(), 'd/t': dir() }], upper: { 'd': dir({ mode: 0o2775, gid: 4000 }), 'd/s': whiteout() } }, ops: [mkdir('d/s'), lstat('d/s'), rmdir('d/t'), mkdir('d/t', 0o700), lstat('d/t'), mkdir('d/t/u'), lstat('d/t/u'), rmdir('d/t/u'), mkdir('d/t/u'), lstat('d/t/u'), unlink('d/s')].map((op) => (op.op === 'unlink' ? any(op) : op)) },
  { name: 'files over whiteouts in a setgid directory', stack: { lower: [{ 'd/a': file(), 'd/b': file(), 'd/c': file(), 'd/e': file() }], upper: { 'd': dir({ mode: 0o2775, gid: 4000 }), 'd/a': whiteout(), 'd/b': whiteout(), 'd/c': whiteout(), 'd/e': whiteout() } }, ops: [put('d/a', ''), lstat('d/a'), symlink('x', 'd/b'), lstat('d/b'), mknod('d/c', 'fifo'), lstat('d/c'), open('f', 'd/e', 'WRONLY|CREAT', 0o2755), lstat('d/e')] },
  { name: 'what is made over a whiteout inherits the default ACL', stack: { lower: [{ 'd/a': file(), 'd/s': dir() }], upper: { 'd': dir({ xattrs: { [DEFAULT]: acl({ owner: 7, group: 0, other: 0, mask: 7, groups: [[2000, 5]] }) } }), 'd/a': whiteout(), 'd/s': whiteout() } }, ops: [put('d/a', ''), lstat('d/a'), listxattr('d/a'), mkdir('d/s'), lstat('d/s'), listxattr('d/s')] },
  { name: 'a redirect does not reach below an opaque directory on its way', stack: { lower: [{ c: opaque(), 'c/a/f': file('f') }, { 'c/a/hidden': file('hidden') }] }, ops: [rename('c/a', 'm'), gives([['f', 'file']], readdir('m')), mkdir('n'), rename('m', 'n/m'), gives([['f', 'file']], readdir('n/m'))] },
  { name: 'a redirect does not reach below a file or a whiteout on its way', stack: { lower: [{ 'c/a/f': file('f') }, { 'c': file('cut') }, { 'c/a/hidden': file('hidden') }, { 'c/a/x': file() }] }, ops: [rename('c/a', 'm'), gives([['f', 'file']], readdir('m')), rename('c', 'k'), mkdir('c'), rename('m', 'c/a'), gives([['f', 'file']], readdir('c/a'))] },
];

const rootStack = { lower: [{ '': dir({ mode: 0o711, uid: 3, gid: 4, xattrs: { 'user.r': '1' } }), 'a/x': file('x'), 'f': file('F'), 'gone': file() }, { 'a/y': file('y'), 'g': file('G') }], upper: { '': dir({ mode: 0o751 }), 'gone': whiteout(), 'u': file('U') } } as const;

/** The root of the mount as the object; the other cases share a mount and sit in directories of it. */
export const rootCases: readonly Case[] = [
  { name: 'the root is listed', stack: rootStack, alone: [], ops: [lstat('.'), readdir('.'), gives([], direntinos('.')), gives([], seekdirs('.')), readdir('a'), cat('a/y'), fails('ENOENT', lstat('gone'))] },
  { name: 'the root is changed', stack: rootStack, alone: [], ops: [chmod('.', 0o1777), lstat('.'), chown('.', 7, 8), lstat('.'), utimens('.', '1234567890000000000', '1234567891000000001'), lstat('.'), setxattr('.', 'user.n', 'v'), listxattr('.'), ino('.'), put('new', ''), gives(0, ino('.'))] },
  { name: 'names in the root are made, removed and renamed', stack: rootStack, alone: [], ops: [put('gone', 'back'), unlink('f'), mkdir('f'), rename('a', 'b'), readdir('b'), rename('g', 'b/g'), mkdir('a'), gives([], readdir('a')), unlink('u'), readdir('.'), rename('b', 'a/b'), readdir('a/b'), drain('f'), rmdir('f'), readdir('.')] },
  { name: 'the root cannot go', stack: rootStack, alone: [], ops: [fails('EINVAL', rmdir('.')), any(rename('.', 'a/r')), any(unlink('.')), fails('ENOTEMPTY', rmdir('..')), readdir('.')] },
  { name: 'an empty lower and an empty upper', stack: { lower: [{}] }, alone: [], ops: [gives([], readdir('.')), put('f', 'x'), mkdir('d'), rename('f', 'd/f'), cat('d/f'), readdir('.')] },
  { name: 'a read-only root', stack: { lower: rootStack.lower, upper: null }, alone: [], ops: [lstat('.'), readdir('.'), readdir('a'), fails('EROFS', put('n', '')), fails('EROFS', chmod('.', 0o700)), fails('EROFS', setxattr('.', 'user.n', '')), fails('EROFS', mkdir('n'))] },
];

/** Only lamina's own: what fuse shows of itself. */
export const ownCases: readonly Case[] = [
  { name: 'statfs says fuse', stack: { lower: [{}] }, differs: { plain: 'another filesystem', overlay: 'another filesystem' }, ops: [gives({ magic: '0x65735546', namelen: 255 }, statfs('.'))] },
];
