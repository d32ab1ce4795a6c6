// Help of groups of commands, and what the command line says of itself, beside Docker's.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { clients } from '../support/engine-rig.js';
import { scratchDir } from '../support/paths.js';
import { FakeEngine } from './fake-engine.js';

const dir = scratchDir();
const engine = new FakeEngine(join(dir, 'engine.sock'));
const SERVER = {
  Platform: { Name: 'Some Engine' },
  Version: '9.8.7',
  ApiVersion: '1.47',
  MinAPIVersion: '1.24',
  Os: 'linux',
  Arch: 'amd64',
  KernelVersion: '6.5',
  Components: [],
};

t.before(() => engine.listen());
t.teardown(() => {
  engine.close();
  rmSync(dir, { recursive: true });
});

interface Help {
  readonly usage: string;
  readonly members: ReadonlyMap<string, string>;
  readonly end: string;
}

function read(text: string, program: string): Help {
  const [, usage = '', list = '', end = ''] = /^\n?(Usage:[^]*?)\n\nCommands:\n([^]*?)\n\n([^]*)$/.exec(text) ?? [];
  const members = list.split('\n').map((line) => /^ {2}(\S+) +(.*)$/.exec(line) ?? []);
  const named = (words: string): string => words.replaceAll(program, 'PROGRAM').trim();
  return { usage: named(usage), members: new Map(members.map(([, name = '', what = '']) => [name, what])), end: named(end) };
}

/** Of a swarm. */
const NOT_OURS: Readonly<Record<string, readonly string[]>> = { volume: ['update'] };

for (const group of ['builder', 'container', 'image', 'network', 'system', 'volume']) {
  void t.test(`${group}: each of Docker's commands is listed with what it does`, { timeout: 120_000 }, async (t) => {
    const docker = read((await engine.run('docker', [group, '--help'])).stdout, 'docker');
    const said = await engine.run('lamina', [group, '--help']);
    const lamina = read(said.stdout, 'lamina');
    t.equal(lamina.end, docker.end);
    t.match(lamina.usage, docker.usage.split('\n')[0] ?? '?');
    t.ok(docker.members.size > 0);
    const due = [...docker.members.keys()].filter((name) => !NOT_OURS[group]?.includes(name));
    t.same(
      due.filter((name) => !lamina.members.has(name)),
      [],
      'none is missing',
    );
    t.same([...lamina.members.keys()], [...lamina.members.keys()].sort());
    for (const [name, summary] of lamina.members) {
      const { code, stdout } = await engine.run('lamina', [group, name, '--help']);
      t.equal(code, 0);
      t.match(stdout, new RegExp(`^Usage:  lamina .*\\b${name === 'ls' && group === 'container' ? 'ps' : name} `));
      t.equal(stdout.split('\n\n')[1], summary, `${name}: its own words`);
    }
    for (const args of [[group], [group, 'nosuch'], [group, '--nosuch']]) {
      const [theirs, ours] = [await engine.run('docker', args), await engine.run('lamina', args)];
      t.equal(ours.code, theirs.code, args.join(' '));
      t.equal(ours.stdout, theirs.stdout, args.join(' '));
      const isHelp = args.length === 1;
      if (isHelp) t.equal(ours.stderr, said.stdout);
      else {
        const said = theirs.stderr.replaceAll('docker', 'lamina');
        for (const line of ours.stderr.split('\n'))
          t.ok(said.includes(line.replace(' COMMAND', '')), `${args.join(' ')}: ${line}`);
      }
    }
  });
}

const LINE = /^ +[A-Z].*:/;
/** Names of what is said, with their indent. */
const names = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => LINE.test(line) || /^\S/.test(line))
    .map((line) => line.replace(/:.*/, ''));

void t.test('version tells of the client and of the engine', async (t) => {
  engine.answers = { 'GET /version': { json: SERVER } };
  const { code, stdout } = await engine.run('lamina', ['version']);
  t.equal(code, 0);
  t.match(stdout, /^Client:\n Version: {11}\d\S*\n API version: {7}1\.\d+\n OS\/Arch: {11}linux\/\S+\n\n/);
  t.match(
    stdout,
    '\nServer: Some Engine\n Engine:\n  Version:          9.8.7\n  API version:      1.47 (minimum version 1.24)\n',
  );
  const docker = names((await engine.run('docker', ['version'])).stdout);
  t.same(
    names(stdout).filter((name) => !docker.includes(name) && !/Engine|Kernel/.test(name)),
    [],
    "the names are Docker's",
  );
  const [, version = ''] = /Version: +(\S+)/.exec(stdout) ?? [];
  t.equal((await engine.run('lamina', ['--version'])).stdout, `lamina version ${version}\n`);
  t.equal((await engine.run('lamina', ['-V'])).stdout, `lamina version ${version}\n`);
});

void t.test('version without an engine tells of the client, and fails as Docker does', async (t) => {
  const socket = join(dir, 'nobody.sock');
  const env = { LAMINA_SOCKET: socket, DOCKER_HOST: `unix://${socket}` };
  const [docker, lamina] = await Promise.all(clients.map((client) => engine.run(client, ['version'], { env }))).then((all) =>
    all.reverse(),
  );
  t.equal(lamina?.code, docker?.code);
  t.equal(lamina?.stderr, docker?.stderr);
  t.match(lamina?.stdout, /^Client:\n Version: [^]*linux\/\S+\n$/);
  const shown = await engine.run('lamina', ['version', '--format', 'json'], { env });
  t.match(JSON.parse(shown.stdout), { Client: { Os: 'linux' }, Server: null });
  t.equal(shown.code, docker?.code);
});
