// Archives and contexts that try to leave where they are put, and containers whose links lead astray: nothing outside is
// read or changed.

import { existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { tar } from '../image/tar-bytes.js';
import type { TarEntry } from '../image/tar-bytes.js';
import { call } from '../support/engine-api.js';
import { EngineRig } from '../support/engine-rig.js';

/** Names, kinds, modes, owners, links and contents. */
function state(directory: string): string[] {
  return [directory, ...readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((name) => join(directory, name))].map(
    (path) => {
      const { mode, uid, gid, nlink } = lstatSync(path);
      return `${path} ${mode.toString(8)} ${uid} ${gid} ${nlink} ${lstatSync(path).isFile() ? readFileSync(path, 'latin1') : ''}`;
    },
  );
}

/** A directory of the host that has something to lose. */
function makeOutside(rig: EngineRig): string {
  const outside = rig.path('outside');
  mkdirSync(join(outside, 'sub'), { recursive: true, mode: 0o700 });
  writeFileSync(join(outside, 'secret'), 'secret', { mode: 0o600 });
  return outside;
}

async function begin(t: { teardown(fn: () => unknown): unknown }): Promise<{ rig: EngineRig; outside: string }> {
  const rig = new EngineRig();
  t.teardown(() => rig.end());
  await rig.start();
  await rig.loadImages();
  return { rig, outside: makeOutside(rig) };
}

void t.test('a volume import changes nothing outside the volume', { timeout: 120_000 }, async (t) => {
  const { rig, outside } = await begin(t);
  const volumes = join(rig.env.LAMINA_ROOT, 'volumes');
  const up = `${'../'.repeat(12)}${outside.slice(1)}`;
  const link = (linkname: string): TarEntry => ({ name: 'l', type: '2', linkname });
  const cases: Readonly<Record<string, readonly TarEntry[]>> = {
    'a name that goes up': [{ name: '../evil', data: 'x' }],
    'a name that goes up far': [{ name: `${up}/evil`, data: 'x' }],
    'an absolute name': [{ name: `${outside}/evil`, data: 'x' }],
    'what was there, by its name': [{ name: `${up}/secret`, data: 'x' }],
    'the directory above': [{ name: '..', type: '5', mode: 0o777 }],
    'a file through a link': [link(outside), { name: 'l/evil', data: 'x' }],
    'a file through a link that goes up': [link(up), { name: 'l/evil', data: 'x' }],
    'a link for a file': [link(`${outside}/secret`), { name: 'l', data: 'x' }],
    'a link for a directory': [link(outside), { name: 'l/', type: '5', mode: 0o777, uid: 5 }],
    'a directory through a link': [link(outside), { name: 'l/sub/', type: '5', mode: 0o777, uid: 5 }],
    'a hard link to an absolute name': [
      { name: 'h', type: '1', linkname: `${outside}/secret` },
      { name: 'h', data: 'x', mode: 0o777 },
    ],
    'a hard link that goes up': [{ name: 'h', type: '1', linkname: `${up}/secret` }],
    'a hard link through a link': [link(outside), { name: 'h', type: '1', linkname: 'l/secret' }],
    'a hard link to a link': [link(`${outside}/secret`), { name: 'h', type: '1', linkname: 'l' }, { name: 'h', data: 'x' }],
    'a device through a link': [link(outside), { name: 'l/null', type: '3', major: 1, minor: 3 }],
    'a whiteout through a link': [link(outside), { name: 'l/.wh.secret' }],
    'a whiteout that goes up': [{ name: `${up}/.wh.secret` }],
  };
  const before = state(outside);
  for (const [title, entries] of Object.entries(cases)) {
    for (const name of ['new', 'old']) {
      if (name === 'old') await rig.must('lamina', 'volume', 'create', name);
      const { status, body } = await call(
        rig.socket,
        'POST',
        `/volumes/${name}/import`,
        tar([{ name: 'good', data: 'x' }, ...entries]),
      );
      t.ok(status === 200 || status === 400, `${title}: ${status} ${body}`);
      t.same(state(outside), before, title);
      if (status !== 200) t.notOk(body.includes(rig.env.LAMINA_ROOT), `${title}: no place of ours is told: ${body}`);
      const names = existsSync(volumes) ? readdirSync(volumes) : [];
      t.ok(
        names.every((each) => ['new', 'old'].includes(each) || each.startsWith('.')),
        names.join(' '),
      );
      for (const each of names) {
        if (each.startsWith('.')) continue;
        t.same(readdirSync(join(volumes, each)), ['_data'], title);
        t.equal(statSync(join(volumes, each, '_data')).mode & 0o777, 0o755, title);
        t.notOk(
          readdirSync(join(volumes, each, '_data')).some(
            (inner) =>
              lstatSync(join(volumes, each, '_data', inner)).nlink > 1 &&
              lstatSync(join(volumes, each, '_data', inner)).ino === lstatSync(join(outside, 'secret')).ino,
          ),
          title,
        );
      }
      if (names.includes(name)) await rig.must('lamina', 'volume', 'rm', name);
    }
  }
});

void t.test('a build reads nothing outside its context', { timeout: 120_000 }, async (t) => {
  const { rig, outside } = await begin(t);
  const build = async (file: string, entries: readonly TarEntry[] = []): Promise<string> =>
    (await call(rig.socket, 'POST', '/build?t=built', tar([{ name: 'Dockerfile', data: `FROM busybox\n${file}\n` }, ...entries])))
      .body;
  const missing = /not found in build context|no such file|does not exist|forbidden path|no source files/i;
  const leads: TarEntry = { name: 'l', type: '2', linkname: outside };
  const direct: TarEntry = { name: 'l', type: '2', linkname: `${outside}/secret` };
  for (const [file, entries] of [
    ['COPY ../outside/secret /x', []],
    [`COPY ${outside}/secret /x`, []],
    [`ADD ${outside}/secret /x`, []],
    ['COPY l /x', [direct]],
    ['ADD l /x', [direct]],
    ['COPY l/secret /x', [leads]],
    ['COPY l/* /x/', [leads]],
    ['COPY l/../secret /x', [{ name: 'l', type: '2', linkname: join(outside, 'sub') }]],
  ] as const)
    t.match(await build(file, entries), missing, file);
  const whole = await build('COPY . /x/\nRUN ls -l /x/l && ! cat /x/l', [direct]);
  t.match(whole, /Successfully built/, 'a link in a directory is copied as one');
  t.notMatch(whole, /"stream":"secret/);
  const above = await build('COPY secret /x\nRUN cat /x', [{ name: 'sub/../../../secret', data: 'of the context' }]);
  t.match(above, /"stream":"of the context/, 'what is above the top is at the top');
  const linked = await call(rig.socket, 'POST', '/build', tar([{ ...direct, name: 'Dockerfile' }]));
  t.match(linked.body, /Cannot locate specified Dockerfile: Dockerfile/, 'a Dockerfile that is a link');
  const named = await call(
    rig.socket,
    'POST',
    `/build?dockerfile=${encodeURIComponent(`../../../..${outside}/secret`)}`,
    tar([direct]),
  );
  t.match(named.body, /forbidden path outside the build context/, 'a Dockerfile that is named outside');
});

void t.test('cp of stopped containers stays in them', { timeout: 120_000 }, async (t) => {
  const { rig, outside } = await begin(t);
  const before = state(outside);
  const up = `${'../'.repeat(12)}${outside.slice(1)}`;
  writeFileSync(rig.path('f'), 'new');
  mkdirSync(rig.path('d'));
  writeFileSync(rig.path('d', 'g'), 'new');
  await rig.must('lamina', 'create', '--name', 'fresh', '--network', 'none', 'busybox', 'true');
  const links = `mkdir /d; echo -n old >/d/f; ln -s ${outside} /abs; ln -s ${up} /up; ln -s ${outside}/secret /file; ln -s /d /in; ln -s d/f /lf`;
  await rig.must('lamina', 'run', '--name', 'ended', '--network', 'none', 'busybox', 'sh', '-c', links);
  const cp = (from: string, to: string): ReturnType<EngineRig['run']> => rig.run('lamina', 'cp', from, to);
  const content = async (path: string): Promise<string> => (await rig.sh(`lamina cp ${path} - | tar xO`)).stdout;
  for (const [from, to, read] of [
    ['f', 'fresh:/new', 'fresh:/new'],
    ['f', 'fresh:/etc/', 'fresh:/etc/f'],
    ['d', 'fresh:/made', 'fresh:/made/g'],
    ['f', 'ended:/d/f', 'ended:/d/f'],
    ['d/.', 'ended:/d', 'ended:/d/g'],
    ['f', 'ended:/in/h', 'ended:/d/h'],
    ['f', 'ended:/in', 'ended:/d/f'],
    ['f', 'ended:/lf', 'ended:/d/f'],
  ] as const) {
    t.equal((await cp(from, to)).code, 0, `${from} to ${to}`);
    t.equal(await content(read), 'new', `${from} to ${to}`);
  }
  for (const to of ['/abs/secret', '/abs/evil', '/up/evil', '/up/', '/file', '/../../../etc/../abs/evil']) {
    await cp('f', `ended:${to}`);
    t.same(state(outside), before, `f to ${to}`);
  }
  for (const from of ['/abs/secret', '/abs/.', '/up/secret', '/file']) {
    const done = await rig.run('lamina', 'cp', '-L', `ended:${from}`, '-');
    t.notMatch(done.stdout, /secret\n?$|"secret"|\bsecret\u0000*$/, from);
  }
  symlinkSync(outside, rig.path('way'));
  t.equal((await cp('ended:/d/f', 'way/out')).code, 0);
  t.equal(readFileSync(join(outside, 'out'), 'utf8'), 'new', 'links of who copies are followed');
});

void t.test('junk in place of an image archive is told without a place of ours', { timeout: 60_000 }, async (t) => {
  const { rig } = await begin(t);
  const file = rig.path('junk');
  for (const [junk, words] of [
    ['hello\n'.repeat(1000), /not an image archive/],
    [tar([{ name: 'x', data: 'y' }]), /holds no image|neither|no manifest/],
    [Buffer.concat([Buffer.from('1f8b08000000000000ff', 'hex'), Buffer.alloc(2000, 'x')]), /./],
    ['', /empty/],
  ] as const) {
    writeFileSync(file, junk);
    const docker = await rig.run('docker', 'load', '-i', file);
    t.match(docker, { code: 1, stderr: /^.*the archive: / });
    t.match(docker.stderr, words);
    t.notOk(docker.stderr.includes(dirname(file)), docker.stderr);
    const own = await rig.run('lamina', 'load', '-i', 'junk');
    t.match(own, { code: 1, stderr: /junk: / });
    t.notOk(own.stderr.includes(dirname(file)), own.stderr);
  }
});
