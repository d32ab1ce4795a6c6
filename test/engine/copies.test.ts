// `cp` between every kind of source and destination, with both clients. What is expected is what Docker's own daemon and
// client do; a path that ends with a slash means the directory that a link leads to.

import {
  chownSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { EngineRig, clients } from '../support/engine-rig.js';

/** A tree in a line: `dir/ dir/g=g link>f`; contents without their newline. */
function listing(dir: string, prefix = ''): string {
  return readdirSync(dir, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((entry) => {
      const path = join(dir, entry.name);
      const shown = `${prefix}${entry.name}`;
      if (entry.isSymbolicLink()) return `${shown}>${readlinkSync(path)}`;
      if (!entry.isDirectory()) return `${shown}=${readFileSync(path, 'utf8').trim()}`;
      const inner = listing(path, `${shown}/`);
      return inner === '' ? `${shown}/` : `${shown}/ ${inner}`;
    })
    .join(' ');
}

function makeSource(dir: string): void {
  mkdirSync(join(dir, 'd'), { recursive: true });
  for (const name of ['f', 'd/g']) writeFileSync(join(dir, name), `${name}\n`, { mode: 0o640 });
  chownSync(join(dir, 'f'), 1001, 1002);
  symlinkSync('f', join(dir, 'lf'));
  symlinkSync('d', join(dir, 'ld'));
}

function makeDestination(dir: string): void {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(join(dir, 'dir'), { recursive: true });
  writeFileSync(join(dir, 'file'), 'old\n');
  for (const [name, to] of Object.entries({ lfile: 'file', ldir: 'dir', lnew: 'new' })) symlinkSync(to, join(dir, name));
}
const LINKS = 'ldir>dir lfile>file lnew>new';

/** What is in the destination afterwards; `!` begins words of the error that leaves it as it was. */
const CASES: readonly (readonly [source: string, destination: string, outcome: string, outcomeOut?: string])[] = [
  ['f', 'file', `dir/ file=f ${LINKS}`],
  ['f', 'dir', `dir/ dir/f=f file=old ${LINKS}`],
  ['f', 'dir/', `dir/ dir/f=f file=old ${LINKS}`],
  ['f', 'new', `dir/ file=old ${LINKS} new=f`],
  ['f', 'new/', '!no such directory'],
  ['f', 'file/', '!no such directory', '!not a directory'],
  ['f', 'no/deep', '!Could not find the file', '!directory ".*no" does not exist'],
  ['f', 'lfile', `dir/ file=f ${LINKS}`],
  ['f', 'ldir', `dir/ dir/f=f file=old ${LINKS}`],
  ['f', 'lnew', `dir/ file=old ${LINKS} new=f`],
  ['f/', 'dir', '!Could not find the file|not a directory'],
  ['d', 'file', '!cannot copy directory'],
  ['d', 'dir', `dir/ dir/d/ dir/d/g=d/g file=old ${LINKS}`],
  ['d', 'new', `dir/ file=old ${LINKS} new/ new/g=d/g`],
  ['d', 'new/', `dir/ file=old ${LINKS} new/ new/g=d/g`],
  ['d', 'ldir', `dir/ dir/d/ dir/d/g=d/g file=old ${LINKS}`],
  ['d/.', 'dir', `dir/ dir/g=d/g file=old ${LINKS}`],
  ['d/.', 'new', `dir/ file=old ${LINKS} new/ new/g=d/g`],
  ['d/.', 'file', '!cannot copy directory'],
  ['lf', 'dir', `dir/ dir/lf>f file=old ${LINKS}`],
  ['-L lf', 'dir', `dir/ dir/lf=f file=old ${LINKS}`],
  ['ld', 'dir', `dir/ dir/ld>d file=old ${LINKS}`],
  ['-L ld', 'new', `dir/ file=old ${LINKS} new/ new/g=d/g`],
  ['ld/', 'dir', `dir/ dir/ld/ dir/ld/g=d/g file=old ${LINKS}`],
  ['ld/.', 'dir', `dir/ dir/g=d/g file=old ${LINKS}`],
  ['nosuch', 'dir', '!no such file|Could not find the file'],
];

for (const client of clients) {
  void t.test(`cp, typed with ${client}`, { timeout: 300_000 }, async (t) => {
    const rig = new EngineRig();
    t.teardown(() => rig.end());
    await rig.start();
    await rig.loadImages();
    const [source, inner, outer] = [rig.path('source'), rig.path('inner'), rig.path('outer')];
    makeSource(source);
    makeDestination(inner);
    const volumes = ['-v', `${source}:/s:ro`, '-v', `${inner}:/t`];
    await rig.must(client, 'run', '-d', '--name', 'box', '--network', 'none', ...volumes, 'busybox', 'sleep', '1000');
    const flagged = (text: string): [flags: string[], path: string] =>
      text.startsWith('-L ') ? [['-L'], text.slice(3)] : [[], text];

    // Docker's client takes all ways; ours, which is slower to start, every third and those that it has to find by itself.
    const cases = CASES.filter(([from], i) => client === 'docker' || i % 3 === 0 || /^-L lf|^ld\//.test(from));
    for (const [from, to, inside, outside = inside] of cases) {
      const [flags, path] = flagged(from);
      const ways = [
        [inner, inside, ['cp', ...flags, `source/${path}`, `box:/t/${to}`]],
        [outer, outside, ['cp', ...flags, `box:/s/${path}`, `outer/${to}`]],
      ] as const;
      await t.test(`${from} to ${to}, in and out`, async (t) => {
        for (const [place, outcome, words] of ways) {
          // A bind mount is of a directory, not of its name: only what is in it goes.
          for (const name of place === inner ? readdirSync(inner) : []) rmSync(join(inner, name), { recursive: true });
          if (place === outer) makeDestination(outer);
          else {
            makeDestination(rig.path('fresh'));
            t.equal((await rig.sh('cp -a fresh/. inner/')).code, 0);
          }
          const done = await rig.run(client, ...words);
          if (outcome.startsWith('!')) {
            t.equal(done.code, 1, words.join(' '));
            t.match(done.stderr, new RegExp(outcome.slice(1)), words.join(' '));
            t.equal(listing(place), `dir/ file=old ${LINKS}`, words.join(' '));
          } else {
            t.equal(done.code, 0, done.stderr);
            t.equal(listing(place), outcome, words.join(' '));
          }
        }
      });
    }

    await t.test('owners, modes, stopped containers, read-only places and streams', async (t) => {
      const run = (...args: string[]): ReturnType<EngineRig['run']> => rig.run(client, ...args);
      await rig.must(client, 'cp', '-a', 'source/f', 'box:/t/kept');
      const kept = statSync(join(inner, 'kept'));
      t.same([kept.uid, kept.gid, kept.mode & 0o777], [1001, 1002, 0o640], '-a');
      mkdirSync(rig.path('mode'), { mode: 0o700 });
      await rig.must(client, 'cp', 'box:/s/d/.', 'mode');
      t.equal(statSync(rig.path('mode')).mode & 0o777, 0o700, 'a directory that was there keeps its mode');
      t.match(await run('cp', 'source/f', 'box:/s/x'), { code: 1, stderr: /mounted volume is marked read-only/ });
      await rig.must(client, 'create', '--name', 'sealed', '--read-only', '-v', 'open:/open', 'busybox', 'true');
      t.match(await run('cp', 'source/f', 'sealed:/x'), { code: 1, stderr: /container rootfs is marked read-only/ });
      await rig.must(client, 'cp', 'source/f', 'sealed:/open/f');
      t.equal((await rig.sh(`${client} cp sealed:/open/f - | tar xO`)).stdout, 'f\n', 'a volume of a container that never ran');
      t.match(await run('cp', 'box:/s/f', 'sealed:/open/'), { code: 1, stderr: /copying between containers is not supported/ });
      t.match(await run('cp', 'source/f', 'outer'), { code: 1, stderr: /must specify at least one container source/ });
      const stream = await rig.sh(`tar c -C source d | ${client} cp - box:/t && ${client} cp box:/t/d - | tar t`);
      t.same([stream.code, stream.stdout], [0, 'd/\nd/g\n'], stream.stderr);
      t.match(await rig.sh(`tar c -C source d | ${client} cp - box:/t/file`), { code: 1, stderr: /must be a directory/ });
    });
  });
}
