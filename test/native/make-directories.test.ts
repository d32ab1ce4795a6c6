// Directories whose place a user chooses: made, or refused at once with what, why and where else.

import { closeSync, mkdirSync, openSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openSource } from '../../src/volume/backing.js';
import { makeChosenDirectory, makeDirectories } from '../../src/native/make-directories.js';
import { command } from '../support/command.js';
import { checkout, scratchDir } from '../support/paths.js';

const dir = scratchDir();
t.teardown(() => rmSync(dir, { recursive: true }));

void t.test('what is missing is made, with its mode', async (t) => {
  const mask = process.umask(0);
  t.teardown(() => process.umask(mask));
  t.equal(makeDirectories(join(dir, 'a', 'b', 'c'), 0o711), join(dir, 'a'));
  for (const path of ['a', 'a/b', 'a/b/c']) t.equal(statSync(join(dir, path)).mode & 0o7777, 0o711);
  t.equal(makeDirectories(join(dir, 'a', 'b', 'c'), 0o700), undefined, 'all were there');
  t.equal(statSync(join(dir, 'a')).mode & 0o7777, 0o711);
});

closeSync(openSync(join(dir, 'file'), 'w'));
mkdirSync(join(dir, 'made'));

const REFUSED: readonly (readonly [path: string, why: string])[] = [
  ['/proc/x', 'no such file or directory'],
  ['/proc/x/y', 'no such file or directory (/proc/x)'],
  [join(dir, 'file'), 'not a directory'],
  [join(dir, 'file', 'x'), `not a directory`],
  [join(dir, 'made', 'n'.repeat(256)), 'file name too long'],
];

for (const [path, why] of REFUSED) {
  void t.test(`${path.replace(dir, 'DIR').slice(0, 40)}: ${why}`, async (t) => {
    const start = why.replace(/ \(.*/, '');
    t.throws(() => makeChosenDirectory(path, 0o700, 'LAMINA_RUN'), {
      name: 'DirectoryError',
      message: new RegExp(`^${path}: the directory cannot be made: ${start}.*: choose another by LAMINA_RUN$`),
    });
    t.throws(() => makeChosenDirectory(path, 0o700, 'X'), { message: why });
  });
}

void t.test('a bind source that cannot be made is refused', async (t) => {
  const nowhere = '/proc/nosuch/dir';
  t.throws(() => openSource(nowhere, true), {
    name: 'VolumeError',
    message: `'${nowhere}': no such file or directory: nothing can be made there, check the path`,
  });
});

void t.test('the command line and the daemon say so', { timeout: 60_000 }, async (t) => {
  const lamina = join(checkout, 'bin', 'lamina');
  const run = (args: readonly string[], env: Readonly<Record<string, string>>): ReturnType<typeof command> =>
    command([lamina, ...args], { env: { LAMINA_ROOT: join(dir, 'root'), LAMINA_RUN: join(dir, 'run'), ...env } });
  const lower = join(dir, 'made');
  const says = async (args: readonly string[], env: Readonly<Record<string, string>>, words: string): Promise<void> => {
    const done = await run(args, env);
    t.equal(done.code, 1, done.stderr);
    t.match(done.stderr, words);
  };
  await says(['mount', '--lower', lower, join(dir, 'a')], { LAMINA_RUN: '/proc/x' }, 'choose another by LAMINA_RUN');
  await says(['daemon'], { LAMINA_RUN: '/proc/x' }, 'choose another by LAMINA_RUN');
  await says(['daemon'], { LAMINA_ROOT: '/proc/x/y' }, '/proc/x/y: the directory cannot be made');
  await says(['daemon'], { LAMINA_SOCKET: '/proc/x/s' }, 'choose another by LAMINA_SOCKET');
  await says(['image', 'ls'], { LAMINA_ROOT: '/proc/x' }, '/proc/x: cannot use this as the data root: ENOENT');
});
