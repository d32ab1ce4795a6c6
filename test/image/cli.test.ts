// `lamina image load`, `ls` and `rm` without an engine: what they print and their exit codes.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { fillTemplate as fill } from '../../src/cli/table.js';
import { age, humanSize } from '../../src/cli/units.js';
import { inspection } from '../../src/engine/image-view.js';
import { resolveImage } from '../../src/image/index.js';
import { procStat } from '../../src/native/proc-stat.js';
import { type Done, command, waitFor } from '../support/command.js';
import { checkout } from '../support/paths.js';
import { asTar, imageId, legacyArchive, sha256 } from './archives.js';
import type { Source } from './archives.js';
import { StoreRig } from './store-rig.js';
import { tar } from './tar-bytes.js';
import { dumpTree } from './tree-dump.js';

const layer = tar([{ name: 'f', data: 'x'.repeat(12345) }]);
const source: Source = {
  layers: [layer],
  tags: ['busybox:1', 'quay.io/x/y:2'],
  config: { Cmd: ['sh'], Env: ['A=b'] },
  created: '2020-01-01T00:00:00Z',
};
const id = imageId(source);

const lamina = join(checkout, 'bin', 'lamina');

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** What is typed is done in the rig's data root, where no engine runs. */
function places(rig: StoreRig): Readonly<Record<string, string>> {
  return {
    LAMINA_ROOT: rig.root,
    LAMINA_RUN: join(rig.dir, 'run'),
    LAMINA_SOCKET: join(rig.dir, 'nobody.sock'),
    LAMINA_NO_START: '1',
  };
}

function runner(rig: StoreRig) {
  return async (argv: readonly string[], input?: Buffer): Promise<Ran> => {
    const file = join(rig.dir, 'input');
    writeFileSync(file, input ?? '');
    const done = await command(['sh', '-c', 'exec "$0" image "$@" < "$INPUT"', lamina, ...argv], {
      env: { ...places(rig), INPUT: file },
    });
    return { code: done.code, out: done.stdout, err: done.stderr };
  };
}

/** A mount of these layers, as far as its record tells; its server is this process. */
function recordMount(rig: StoreRig, target: string, lowers: readonly string[]): () => void {
  const directory = join(rig.dir, 'run');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, `${process.pid}-ab.json`);
  writeFileSync(path, JSON.stringify({ target, lowers, routes: [], pid: process.pid, started: procStat(process.pid)?.started }));
  return () => rmSync(path);
}

void t.test('load, ls, rm', async (t) => {
  const rig = new StoreRig();
  t.teardown(() => rig.dispose());
  const run = runner(rig);
  const archive = join(rig.dir, 'a.tar');
  writeFileSync(archive, asTar(legacyArchive(source)));

  t.same(await run(['ls']), { code: 0, out: 'REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n', err: '' });
  const loaded = { code: 0, out: 'Loaded image: busybox:1\nLoaded image: quay.io/x/y:2\n', err: '' };
  for (const argv of [
    ['load', '-i', archive],
    ['load', archive],
    ['load', '--input', archive],
    ['load', `--input=${archive}`],
  ])
    t.same(await run(argv), loaded);
  t.same(await run(['load'], asTar(legacyArchive(source))), loaded);
  t.same(await run(['load', '-'], asTar(legacyArchive({ ...source, tags: [] }))), {
    code: 0,
    out: `Loaded image ID: sha256:${id}\n`,
    err: '',
  });

  const short = id.slice(0, 12);
  t.same(
    (await run(['ls'])).out.split('\n').map((line) => line.replace(/\d+ years ago/, 'N years ago')),
    [
      'REPOSITORY    TAG       IMAGE ID       CREATED       SIZE',
      `busybox       1         ${short}   N years ago   12.3kB`,
      `quay.io/x/y   2         ${short}   N years ago   12.3kB`,
      '',
    ],
  );
  t.equal((await run(['ls', '-q'])).out, `${short}\n`);
  t.equal((await run(['ls', '-q', '--no-trunc'])).out, `sha256:${id}\n`);
  t.equal((await run(['ls', '--format', '{{.Repository}}:{{.Tag}}\\t{{.ID}}', 'busybox'])).out, `busybox:1\t${short}\n`);
  t.match(JSON.parse((await run(['ls', '--json', 'quay.io/x/y:2'])).out), { Repository: 'quay.io/x/y' });
  t.equal((await run(['list', '--format', 'json'])).out, (await run(['ls', '--json'])).out);
  t.match(await run(['ls', '--format', '{{.Nope}}']), {
    code: 1,
    err: /^Error: template: there is no field \.Nope: use one of /,
  });

  t.match(await run(['rm', short]), {
    code: 1,
    err: `Error: conflict: unable to delete ${short} (must be forced) - image is referenced in multiple repositories`,
  });
  t.same(await run(['rm', 'quay.io/x/y:2']), { code: 0, out: 'Untagged: quay.io/x/y:2\n', err: '' });
  const unmount = recordMount(rig, '/mnt/x', [rig.store.layerDir(sha256(layer))]);
  t.same(await run(['rm', 'busybox:1']), {
    code: 1,
    out: '',
    err: `Error: conflict: unable to delete ${short} (cannot be forced) - mounted on /mnt/x: run \`lamina umount /mnt/x\` first\n`,
  });
  unmount();
  t.same(await run(['remove', 'busybox:1', 'x']), {
    code: 1,
    out: `Untagged: busybox:1\nDeleted: sha256:${id}\nDeleted: sha256:${sha256(layer)}\n`,
    err: 'Error: No such image: x:latest\n',
  });
  t.same(await rig.residue(), []);
});

void t.test('an image in detail', async (t) => {
  const rig = new StoreRig();
  t.teardown(() => rig.dispose());
  await rig.load(asTar(legacyArchive(source)));
  t.match(inspection(await resolveImage(rig.store, 'busybox:1')), {
    Id: `sha256:${id}`,
    RepoTags: ['busybox:1', 'quay.io/x/y:2'],
    Created: '2020-01-01T00:00:00Z',
    Config: { Cmd: ['sh'], Env: ['A=b'] },
    Os: 'linux',
    RootFS: { Type: 'layers', Layers: [`sha256:${sha256(layer)}`] },
    GraphDriver: { Name: 'lamina', Data: { UpperDir: rig.store.layerDir(sha256(layer)) } },
  });
});

void t.test('wrong usage and failures', async (t) => {
  const rig = new StoreRig();
  t.teardown(() => rig.dispose());
  const run = runner(rig);
  t.match(await run(['load', '--nope']), { code: 125, err: "Error: unknown flag: --nope\nSee 'lamina image load --help'.\n" });
  t.match(await run(['load', '-i']), { code: 125, err: /flag needs an argument: 'i' in -i/ });
  t.match(await run(['load', 'a', 'b']), { code: 125, err: /one archive at a time/ });
  t.match(await run(['rm']), { code: 1, err: /^lamina: 'lamina image rm' requires at least 1 argument\n/ });
  t.match(await run(['ls', '--quiet=maybe']), { code: 125, err: /^invalid argument "maybe"/ });
  t.match(await run(['frob']), { code: 1, err: /unknown command: lamina image frob/ });
  t.match(await run(['load', '--help']), { code: 0, out: /^Usage:  lamina image load/ });
  t.match(await run(['load', '/nonexistent.tar']), {
    code: 1,
    out: '',
    err: /^Error: \/nonexistent.tar: no such file or directory; give the path .*\n$/,
  });
  t.match(await run(['rm', 'A']), { code: 1, out: '', err: /^Error: .*must be lowercase/ });
  t.match(await run(['load'], Buffer.from('rubbish')), { code: 1, err: /^Error: standard input: / });
});

void t.test('without an engine a list tells what it can, and says who knows the rest', async (t) => {
  const rig = new StoreRig();
  t.teardown(() => rig.dispose());
  const typed = (...argv: string[]): Promise<Done> => command([lamina, ...argv], { env: places(rig) });
  t.match(await typed('volume', 'ls'), { code: 0, stdout: /^DRIVER +VOLUME NAME\n$/ });
  for (const argv of [
    ['volume', 'ls', '--size'],
    ['volume', 'ls', '--format', 'json'],
    ['images', '--digests'],
    ['rmi', '-f', 'x'],
  ])
    t.match(await typed(...argv), { code: 1, stderr: /^no engine listens on .*: start it with `lamina daemon`\n$/ });
  for (const [words, flag] of [
    [['volume', 'ls'], '--size'],
    [['images'], '--digests'],
  ] as const)
    t.match(await typed(...words, '--help'), { code: 0, stdout: flag }, 'help is the same with and without');
});

void t.test('a terminal sees a bar, a pipe plain lines', async (t) => {
  const rig = new StoreRig();
  t.teardown(() => rig.dispose());
  const archive = join(rig.dir, 'a.tar');
  writeFileSync(
    archive,
    asTar(legacyArchive({ ...source, layers: [layer, tar([{ name: 'big', data: Buffer.alloc(3 << 20) }])] })),
  );
  const typed = async (words: string): Promise<Ran> => {
    const script = `stty cols 80 -onlcr; exec ${lamina} ${words}`;
    const done = await command(['script', '-qec', script, '/dev/null'], { env: places(rig) });
    return { code: done.code, out: done.stdout, err: done.stderr };
  };
  const { out } = await typed(`image load ${archive}`);
  t.match(out, new RegExp(`\r\x1b\\[K${sha256(layer).slice(0, 12)}: Loading layer \\[=+\\] 14.3kB/14.3kB\n`));
  t.match(out, /: Loading layer \[=+>? *\] [\d.]+MB\/3.15MB/);
  t.match(out, /\nLoaded image: busybox:1\n/);
  for (const line of out.split(/[\r\n]/)) t.ok(line.replace('\x1b[K', '').length <= 80, 'no line is wider than the terminal');
  t.equal((await typed(`image load -q ${archive}`)).out, 'Loaded image: busybox:1\nLoaded image: quay.io/x/y:2\n');
  t.match(await typed('load'), { code: 125, out: /^Error: requested load from stdin, but stdin is empty\n/ });
});

void t.test('an interrupted load cleans up and exits 130', async (t) => {
  const rig = new StoreRig();
  t.teardown(() => rig.dispose());
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const env = { ...process.env, ...places(rig) };
    const child = spawn(lamina, ['image', 'load'], { env, stdio: ['pipe', 'ignore', 'inherit'] });
    t.teardown(() => child.kill('SIGKILL'));
    child.stdin.on('error', () => undefined);
    child.stdin.write(asTar(legacyArchive(source)).subarray(0, 9000));
    await waitFor('work under way', () => readdirSync(join(rig.root, 'tmp')).length > 0);
    child.kill(signal);
    t.same(await once(child, 'exit'), [code, null]);
    t.same(readdirSync(join(rig.root, 'tmp')), []);
  }
});

void t.test(
  'without privilege owners and devices are left out, and said so',
  { skip: process.geteuid?.() === 0 ? false : 'only root can become another user' },
  async (t) => {
    const rig = new StoreRig();
    t.teardown(() => rig.dispose());
    chmodSync(rig.dir, 0o755);
    const root = join(rig.dir, 'rootless');
    const home = join(rig.dir, 'home');
    for (const dir of [root, home]) {
      mkdirSync(dir);
      chownSync(dir, 65534, 65534);
    }
    const bytes = asTar(
      legacyArchive({
        tags: ['r:1'],
        layers: [
          tar([
            { name: 'own', data: 'x', uid: 5, gid: 6, mode: 0o4755 },
            { name: 'null', type: '3', major: 1, minor: 3 },
            { name: 'fifo', type: '6' },
            { name: 'locked/', type: '5', mode: 0 },
            { name: 'locked/inside', data: 'y', mode: 0, pax: [['SCHILY.xattr.user.e', 'f']] },
            { name: '.wh.gone' },
            { name: 'opq/.wh..wh..opq' },
            {
              name: 'xattr',
              pax: [
                ['SCHILY.xattr.trusted.a', 'b'],
                ['SCHILY.xattr.user.c', 'd'],
              ],
            },
          ]),
        ],
      }),
    );
    const asNobody = async (argv: readonly string[], input: Buffer = Buffer.alloc(0)): Promise<Ran> => {
      const child = spawn(lamina, ['image', ...argv], {
        uid: 65534,
        gid: 65534,
        stdio: ['pipe', 'pipe', 'pipe'],
        env: { ...places(rig), LAMINA_ROOT: root, PATH: process.env['PATH'], HOME: home },
      });
      let out = '';
      let err = '';
      child.stdout.on('data', (text: Buffer) => (out += text.toString()));
      child.stderr.on('data', (text: Buffer) => (err += text.toString()));
      child.stdin.on('error', () => undefined);
      child.stdin.end(input);
      const [code] = (await once(child, 'close')) as [number];
      return { code, out, err };
    };
    const loaded = await asNobody(['load'], bytes);
    t.match(loaded, { code: 0, out: 'Loaded image: r:1\n' });
    t.match(loaded.err, /Warning: owners could not be kept for \d+ entries/);
    t.match(loaded.err, /Warning: devices could not be kept for 1 entries/);
    const [key = ''] = readdirSync(join(root, 'layers'));
    const lines = dumpTree(join(root, 'layers', key, 'diff'));
    const line = (path: string): string => lines.find((each) => each.startsWith(`${path} |`)) ?? 'absent';
    t.match(line('/own'), '| 104755 | 65534:65534 |');
    t.equal(line('/null'), 'absent');
    t.match(line('/fifo'), '| 10644 |');
    t.match(line('/locked'), '| 40000 |');
    t.match(line('/locked/inside'), /\| 100000 \|.* user.e=66 \|/);
    t.match(line('/gone'), '| 20000 |', 'a whiteout needs no privilege');
    t.match(line('/opq'), 'user.overlay.opaque=79');
    t.match(line('/xattr'), /\| user.c=64 \|/);
    t.match(await asNobody(['rm', 'r:1']), { code: 0, out: /^Untagged: r:1\nDeleted: / });
    t.same(readdirSync(join(root, 'layers')), []);
    t.same(readdirSync(join(root, 'tmp')), []);
  },
);

void t.test('sizes, ages and templates', async (t) => {
  t.same(
    [0, 999, 1000, 12345, 4261550, 83197785, 1.5e9].map((bytes) => humanSize(bytes)),
    ['0B', '999B', '1kB', '12.3kB', '4.26MB', '83.2MB', '1.5GB'],
  );
  const now = Date.parse('2026-06-01T00:00:00Z');
  const ago = (seconds: number): string => age(new Date(now - seconds * 1000).toISOString(), now);
  t.same(
    [
      0,
      1,
      59,
      60,
      150,
      3600,
      5400,
      7300,
      47.6 * 3600,
      2 * 86400,
      20 * 86400,
      59 * 86400,
      60 * 86400,
      100 * 86400,
      800 * 86400,
    ].map(ago),
    [
      'Less than a second ago',
      '1 second ago',
      '59 seconds ago',
      'About a minute ago',
      '2 minutes ago',
      'About an hour ago',
      '2 hours ago',
      '2 hours ago',
      '2 days ago',
      '2 days ago',
      '2 weeks ago',
      '8 weeks ago',
      '2 months ago',
      '3 months ago',
      '2 years ago',
    ],
  );
  t.equal(age(undefined), 'N/A');
  t.equal(fill('{{ .A.B }}/{{json .A}}', { A: { B: 'x' } }), 'x/{"B":"x"}');
  t.throws(() => fill('{{range .}}', {}), { name: 'TemplateError' });
  t.throws(() => fill('{{.constructor}}', {}), { name: 'TemplateError' });
});
