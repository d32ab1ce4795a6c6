// Few fds for the server: more files open than it may have, hundreds of layers, and what happens when it truly has none
// left. LAMINA_OPEN_FILES=50000 is the long form.

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { errno } from '../../src/abi/errno.js';
import { mustCommand, waitFor } from '../support/command.js';
import { privilegedRequired, unavailable } from '../support/mounts.js';
import { checkout } from '../support/paths.js';
import { Root } from '../support/roots.js';

const FILES = Number(process.env['LAMINA_OPEN_FILES'] ?? 4000);
const NOFILE = FILES > 10_000 ? 1024 : 256;

interface Report {
  wrong: number;
  some: string[];
  refused: Record<string, number>;
}

async function manyOpen(directory: string, removed: number): Promise<Report> {
  const program = join(checkout, 'test', 'support', 'many_open.py');
  const out = await mustCommand(['python3', program, directory, String(FILES), String(removed)], { limitMs: 300_000 });
  return JSON.parse(out) as Report;
}

function fill(directory: string): void {
  mkdirSync(directory, { recursive: true });
  for (let i = 0; i < 100; i++) writeFileSync(join(directory, `f${i}`), `lower ${i}`);
}

const NOTHING_WRONG = { wrong: 0, some: [], refused: {} };

/** A root whose layers lie on a kernel overlay, which the kernel does not pass through to: its data comes to us. */
async function relayedRoot(t: Test): Promise<Root> {
  const root = new Root(NOFILE);
  const store = root.path('store');
  for (const name of ['upper', 'work', 'merged', 'base']) mkdirSync(root.path('store', name), { recursive: true });
  t.teardown(() => root.dispose());
  const options = `lowerdir=${store}/base,upperdir=${store}/upper,workdir=${store}/work`;
  await mustCommand(['mount', '-t', 'overlay', 'overlay', '-o', options, `${store}/merged`]);
  const layer = (name: string): string => root.path('store', 'merged', name);
  fill(layer('lower'));
  for (const name of ['u', 'w']) mkdirSync(layer(name));
  const done = await root.lamina(
    'mount', '--lower', layer('lower'), '--upper', layer('u'), '--work', layer('w'), root.target,
  ); // prettier-ignore
  if (done.code !== 0) throw new Error(done.stderr);
  return root;
}

async function relayed(t: Test): Promise<void> {
  const root = await relayedRoot(t);
  t.strictSame(await manyOpen(root.target, 20), NOTHING_WRONG);
  await mustCommand(['sh', '-c', `rm ${root.target}/new*`], { limitMs: 120_000 });
  const { wrong, some, refused } = await manyOpen(root.target, FILES / 2);
  t.strictSame({ wrong, some }, { wrong: 0, some: [] }, 'what may not go is still there');
  t.strictSame(Object.keys(refused), [String(errno.EMFILE)], 'an open file that cannot be kept is not removed');
  await mustCommand(['sh', '-ec', `rm ${root.target}/new*; echo x > ${root.target}/f1; cat ${root.target}/f1`], {
    limitMs: 120_000,
  });
  t.equal((await root.lamina('umount', root.target)).code, 0);
  await waitFor('the server to end', () => root.servers().length === 0);
  await mustCommand(['umount', root.path('store', 'merged')]);
}

async function onVolume(t: Test, tier: string): Promise<void> {
  const root = new Root(NOFILE);
  t.teardown(() => root.dispose());
  fill(root.path('volume'));
  await root.mount('-v', `${root.path('volume')}:/data`, '--bypass', tier);
  t.strictSame(await manyOpen(join(root.target, 'data'), 20), NOTHING_WRONG);
  await root.umount();
}

async function inUnion(t: Test): Promise<void> {
  const root = new Root(NOFILE);
  t.teardown(() => root.dispose());
  fill(root.path('lower'));
  await root.mount();
  t.strictSame(await manyOpen(root.target, 20), NOTHING_WRONG);
  await root.umount();
}

const LAYERS = 499; // and `lower`

function layers(root: Root): string[] {
  return Array.from({ length: LAYERS }, (_, i) => {
    const layer = root.path('layers', String(i));
    mkdirSync(join(layer, 'd', 'e'), { recursive: true });
    writeFileSync(join(layer, 'd', 'e', `f${i}`), String(i));
    mkdirSync(join(layer, 'd', `e${i % 7}`), { recursive: true });
    return `--lower=${layer}`;
  });
}

async function manyLayers(t: Test): Promise<void> {
  const root = new Root(1024);
  t.teardown(() => root.dispose());
  await root.mount(...layers(root));
  const find = await mustCommand(['sh', '-c', `find ${root.target}/d | wc -l; cat ${root.target}/d/e/* | wc -c`]);
  t.equal(find, `${1 + 1 + 7 + LAYERS}\n${10 + 90 * 2 + (LAYERS - 100) * 3}\n`);
  await mustCommand(['sh', '-ec', `cd ${root.target}; mv d moved; echo x > moved/e/new; rm -r moved; test -z "$(ls)"`]);
  t.strictSame(readdirSync(root.upper), ['d'], 'a whiteout is left');
  await root.umount();
}

async function tooFew(t: Test): Promise<void> {
  const root = new Root(512);
  t.teardown(() => root.dispose());
  const done = await root.lamina('mount', ...layers(root), root.target);
  t.equal(done.code, 1);
  t.match(done.stderr, /512 open files are too few for this mount.*ulimit -n/);
  t.strictSame(root.mounts(), []);
}

void t.test('few fds', async (t) => {
  const missing = await unavailable('lamina');
  if (missing !== undefined && !privilegedRequired) return t.plan(0, missing);
  t.comment(`${FILES} files open, ${NOFILE} fds`);
  await t.test('more files open than fds, data through us; EMFILE when open files without names use them up', relayed);
  for (const tier of ['passthrough', 'relay']) {
    await t.test(`more files of a volume open than fds: ${tier}`, (t) => onVolume(t, tier));
  }
  await t.test('more files open than fds, data in the kernel', inUnion);
  await t.test('500 layers with 1024 fds: listed, read, moved, removed', manyLayers);
  await t.test('500 layers with 512 fds: refused with what to do about it', tooFew);
  return undefined;
});
