// What a mount takes it gives back: nodes and fds when the kernel forgets, everything when it ends. And the library
// mounts from a program.

import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { command, mustCommand, waitFor } from '../support/command.js';
import { privilegedRequired, unavailable } from '../support/mounts.js';
import { checkout } from '../support/paths.js';
import { Root } from '../support/roots.js';

interface Stats {
  nodes: number;
  openFds: number;
  handles: number;
}

async function statsOf(root: Root): Promise<Stats> {
  return JSON.parse((await root.lamina('stats', '--json', root.target)).stdout) as Stats;
}

function fdsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function tree(base: string, directories: number, files: number): void {
  for (let d = 0; d < directories; d++) {
    mkdirSync(join(base, `d${d}`), { recursive: true });
    for (let f = 0; f < files; f++) writeFileSync(join(base, `d${d}`, `f${f}`), 'x');
  }
}

async function testForget(t: Test): Promise<void> {
  await t.test('nodes and fds go back to a handful when the kernel forgets', async (t) => {
    const root = new Root();
    t.teardown(() => root.dispose());
    tree(root.path('lower'), 40, 50);
    mkdirSync(root.path('vol'));
    tree(root.path('vol'), 20, 50);
    await root.mount('-v', `${root.path('vol')}:/data`);
    const [pid = 0] = root.servers();
    const before = fdsOf(pid);
    // Every kind of op, so that whatever one of them keeps shows.
    const script = `cd ${root.target} && find . -type f -exec cat {} + >/dev/null && cp -a d0 copy && mv copy moved && ln moved/f0 hard &&
      rm -rf d1 moved hard && mv d2 e2 && echo x >> d3/f3 && chmod 600 d4/f4 && setfattr -n user.a -v b d5/f5 && truncate -s 0 d6/f6 &&
      cp -a data/d0 data/copy && rm -rf data/copy && ls -lR . >/dev/null`;
    await mustCommand(['sh', '-ec', script], { limitMs: 60_000 });
    t.ok((await statsOf(root)).nodes > 1000, 'the tree was known');
    await mustCommand(['sh', '-c', 'echo 2 > /proc/sys/vm/drop_caches']);
    await waitFor('the nodes to go', async () => {
      await command(['sh', '-c', 'echo 2 > /proc/sys/vm/drop_caches']);
      return (await statsOf(root)).nodes < 12;
    });
    const after = await statsOf(root);
    t.equal(after.handles, 0, 'no open file');
    t.ok(after.openFds < 12, `${after.openFds} fds on layers`);
    await waitFor(`the server's fds to be those of the start (${before})`, () => fdsOf(pid) <= before + 12);
    await root.umount();
  });

  await t.test('a file deleted while open is readable, its space free after close', async (t) => {
    const root = new Root();
    t.teardown(() => root.dispose());
    writeFileSync(root.path('lower/f'), 'lower');
    await root.mount();
    const script = `cd ${root.target} && exec 3<f 4>new && echo data >&4 && exec 5<new && rm f new && cat <&3 <&5 && echo more >&4 && mkdir new f && ls`;
    const out = await mustCommand(['bash', '-ec', script]);
    t.match(out, /data/);
    await waitFor('the deleted files to go', async () => (await statsOf(root)).nodes < 6);
    await root.umount();
  });
}

async function testLibrary(t: Test): Promise<void> {
  await t.test('a program mounts through the library, and its worker ends with the mount', async (t) => {
    const root = new Root();
    t.teardown(() => root.dispose());
    writeFileSync(root.path('lower/f'), 'F');
    mkdirSync(root.path('vol'));
    const program = `
      const { mount, MountError } = require(${JSON.stringify(checkout)});
      const { execFile } = require('node:child_process');
      const sh = (line) => new Promise((done, failed) => execFile('sh', ['-ec', line], (error, out) => error ? failed(error) : done(out)));
      (async () => {
        const at = ${JSON.stringify({ target: root.target, lowers: [root.path('lower')], upper: root.upper, work: root.path('work') })};
        const m = await mount({ ...at, routes: [{ source: ${JSON.stringify(root.path('vol'))}, destination: '/data', readOnly: false }] });
        console.log(await sh('cat ' + at.target + '/f; echo v > ' + at.target + '/data/v'));
        console.log((await m.stats()).nodes > 0);
        await mount({ ...at, lowers: ['/nowhere'] }).catch((error) => console.log(error instanceof MountError, error.message));
        await m.unmount();
      })();`;
    const done = await command(['node', '-e', program], { env: root.env });
    t.equal(done.code, 0, done.stderr);
    t.match(done.stdout, /^F\ntrue\ntrue .*\n/);
    t.equal(readFileSync(root.path('vol/v'), 'utf8'), 'v\n');
    t.strictSame(root.mounts(), []);
  });
}

void t.test('leaks', async (t) => {
  const missing = await unavailable('lamina');
  if (missing !== undefined && !privilegedRequired) return t.plan(0, missing);
  await testForget(t);
  await testLibrary(t);
  return undefined;
});
