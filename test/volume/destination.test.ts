// Where a destination leads inside a root: through symlinks, never out of it.

import t from 'tap';
import { resolveDestination, type Destination, type ScopedTree, type Step } from '../../src/volume/destination.js';

/** A directory as an object; a string is a symlink, a number a file. */
interface Dir {
  [name: string]: Dir | string | number;
}

function treeOf(root: Dir): ScopedTree<Dir> {
  return {
    root,
    step(directory: Dir, name: string): Step<Dir> {
      const found = Object.hasOwn(directory, name) ? directory[name] : undefined;
      if (found === undefined) return { kind: 'missing' };
      if (typeof found === 'string') return { kind: 'symlink', target: found };
      return typeof found === 'number' ? { kind: 'file' } : { kind: 'directory', directory: found };
    },
  };
}

const chain: Dir = { end: {} };
for (let i = 0; i < 300; i++) chain[`l${i}`] = i === 0 ? 'end' : `l${i - 1}`;

const root: Dir = {
  a: {
    b: { c: {} },
    up: '../a/b',
    out: '../../../a/b',
    abs: '/a/b',
    gone: '/nowhere/x',
    back: 'nowhere/../../home',
    file: 1,
    self: 'self',
    ping: 'pong',
    pong: '/a/ping',
  },
  home: { foo: {} },
  bar: 'home',
  rootlink: '/',
  dotdot: '..',
  chain,
  etc: { passwd: 1, link: 'passwd', deep: '/etc/../a/./b//c/' },
};

const cases: readonly (readonly [destination: string, result: string])[] = [
  ['/a', 'directory /a'],
  ['/a/b/c/', 'directory /a/b/c'],
  ['//a/./b', 'directory /a/b'],
  ['/a/b/../b', 'directory /a/b'],
  ['/../../..', `invalid specification: destination can't be '/'`],
  ['/../../../a', 'directory /a'],
  ['/a/b/c/../../../../../home', 'directory /home'],
  ['/rootlink', `invalid specification: destination can't be '/'`],
  ['/dotdot', `invalid specification: destination can't be '/'`],
  ['/dotdot/dotdot/a', 'directory /a'],
  ['/rootlink/a', 'directory /a'],
  ['/a/up', 'directory /a/b'],
  ['/a/up/c', 'directory /a/b/c'],
  ['/a/up/..', 'directory /a'],
  ['/a/out', 'directory /a/b'],
  ['/a/abs/c', 'directory /a/b/c'],
  ['/bar/foo', 'directory /home/foo'],
  ['/bar/new', 'missing /home/new'],
  ['/etc/deep', 'directory /a/b/c'],
  ['/new', 'missing /new'],
  ['/a/new/deep/er', 'missing /a/new/deep/er'],
  ['/a/new/../other', 'missing /a/other'],
  ['/new/..', `invalid specification: destination can't be '/'`],
  ['/new/../../../..', `invalid specification: destination can't be '/'`],
  ['/a/new/deep/../../b', 'directory /a/b'],
  ['/a/new/../../home/foo', 'directory /home/foo'],
  ['/new/../../etc/link', 'file /etc/passwd'],
  ['/a/back', 'directory /home'],
  ['/a/gone', 'missing /nowhere/x'],
  ['/a/gone/y', 'missing /nowhere/x/y'],
  ['/etc/passwd', 'file /etc/passwd'],
  ['/etc/link', 'file /etc/passwd'],
  ['/etc/passwd/x', '/etc/passwd is not a directory'],
  ['/etc/link/x', '/etc/passwd is not a directory'],
  ['/a/self', '/a/self: too many levels of symbolic links'],
  ['/a/ping', '/a/ping: too many levels of symbolic links'],
  ['/chain/l254', 'directory /chain/end'],
  ['/chain/l255', '/chain/l255: too many levels of symbolic links'],
];

function show(found: Destination<Dir> | string): string {
  return typeof found === 'string' ? found : `${found.found} ${found.path}`;
}

for (const [destination, result] of cases) {
  void t.test(`${destination} is ${result}`, (test) => {
    test.equal(show(resolveDestination(treeOf(root), destination)), result);
    test.end();
  });
}

void t.test('what is missing is named, and where it begins', (test) => {
  const found = resolveDestination(treeOf(root), '/a/up/x/y');
  test.not(typeof found, 'string');
  if (typeof found === 'string') return test.end();
  test.same(found.names, ['x', 'y']);
  test.equal(found.parent, (root['a'] as Dir)['b']);
  test.end();
});
