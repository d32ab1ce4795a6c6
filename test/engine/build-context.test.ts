// What `build` sends and where its RUN steps run, typed with `lamina` and with a real `docker`: Dockerfiles that are symlinks,
// that lie outside the context or come from stdin, contexts from stdin, networks. The words are dockerd's 20.10 and its client's.

import { mkdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { EngineRig, clients } from '../support/engine-rig.js';

const rig = new EngineRig();

t.before(async () => {
  await rig.start();
  await rig.loadImages();
  const dockerfile = (from: string): string =>
    `FROM busybox\nCOPY . /ctx\nRUN echo "<${from}: $(cd /ctx && find . -type f -o -type l | sort | tr '\\n' ' ')>"\n`;
  for (const name of ['c/sub', 'lower', 'ignore', 'dir/Dockerfile', 'out', 'leads-out'])
    mkdirSync(rig.path(name), { recursive: true });
  const write = (path: string, content: string): void => writeFileSync(rig.path(path), content);
  write('c/sub/Real', dockerfile('real'));
  write('c/x', 'x');
  symlinkSync('sub/Real', rig.path('c/Dockerfile'));
  symlinkSync('nowhere', rig.path('c/dangling'));
  symlinkSync('loop', rig.path('c/loop'));
  symlinkSync('c', rig.path('link'));
  write('out/Outer', dockerfile('outer'));
  symlinkSync('../out/Outer', rig.path('leads-out/Dockerfile'));
  write('lower/dockerfile', dockerfile('lower'));
  write('ignore/Dockerfile', dockerfile('ignoring'));
  write('ignore/.dockerignore', 'y*\nDockerfile\n.dockerignore');
  for (const name of ['yes', 'no']) write(`ignore/${name}`, '');
});
t.teardown(() => rig.end());

const CONTEXT = './Dockerfile ./dangling ./loop ./sub/Real ./x';
const LSTAT = 'unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat';

/** What is typed (CLIENT is the client) and what is told: a fragment of the output when it works, the error when not. */
const ROWS: readonly (readonly [
  title: string,
  line: string,
  outcome: { readonly built: string } | { readonly error: string },
])[] = [
  ['a Dockerfile that is a symlink in the context', 'CLIENT build c', { built: `<real: ${CONTEXT} >` }],
  ['a context that is a symlink', 'CLIENT build link', { built: `<real: ${CONTEXT} >` }],
  ['a Dockerfile named through a symlink', 'CLIENT build -f link/sub/Real c', { built: `<real: ${CONTEXT} >` }],
  ['an empty -f', 'CLIENT build -f "" c', { built: `<real: ${CONTEXT} >` }],
  ['-f from another directory', 'cd c && CLIENT build -f sub/Real .', { built: `<real: ${CONTEXT} >` }],
  ['a lower-case dockerfile', 'CLIENT build lower', { built: '<lower: ./dockerfile >' }],
  ['a Dockerfile outside of the context', 'CLIENT build -f out/Outer c', { built: `<outer: ${CONTEXT} >` }],
  ['the same, beside .dockerignore', 'CLIENT build -f out/Outer ignore', { built: '<outer: ./no >' }],
  ['-f of a symlink out of the context', 'CLIENT build -f leads-out/Dockerfile leads-out', { built: '<outer: ./Dockerfile >' }],
  ['a Dockerfile from stdin', 'CLIENT build -f - c <out/Outer', { built: `<outer: ${CONTEXT} >` }],
  ['the same, beside .dockerignore', 'CLIENT build -f - ignore <out/Outer', { built: '<outer: ./no >' }],
  ['a Dockerfile from stdin without a context', 'CLIENT build - <out/Outer', { built: '<outer: ./Dockerfile >' }],
  ['an archive with a symlink for Dockerfile', 'tar -C c -c . | CLIENT build -', { built: `<real: ${CONTEXT} >` }],
  ['a compressed archive', 'tar -C c -cz . | CLIENT build -', { built: `<real: ${CONTEXT} >` }],
  ['an archive with a lower-case dockerfile', 'tar -C lower -c . | CLIENT build -', { built: '<lower: ./dockerfile >' }],
  ['-f of an archive', 'tar -C c -c . | CLIENT build -f /sub/Real -', { built: `<real: ${CONTEXT} >` }],
  [
    'a symlink that leads out',
    'CLIENT build leads-out',
    { error: 'unable to open Dockerfile: open : no such file or directory' },
  ],
  [
    'an archive whose Dockerfile leads out',
    'tar -C leads-out -c . | CLIENT build -',
    { error: 'Error response from daemon: Cannot locate specified Dockerfile: Dockerfile' },
  ],
  ['a symlink to nothing', 'CLIENT build -f c/dangling c', { error: `${LSTAT} DIR/c/nowhere: no such file or directory` }],
  [
    'a symlink to itself',
    'CLIENT build -f c/loop c',
    { error: 'unable to prepare context: unable to evaluate symlinks in Dockerfile path: EvalSymlinks: too many links' },
  ],
  ['-f that counts from here', 'CLIENT build -f sub/Real c', { error: `${LSTAT} DIR/sub: no such file or directory` }],
  ['a file as context', 'CLIENT build c/x', { error: 'unable to prepare context: context must be a directory: DIR/c/x' }],
  ['no context', 'CLIENT build nosuch', { error: 'unable to prepare context: path "nosuch" not found' }],
  ['an empty context', 'CLIENT build ""', { error: 'unable to prepare context: path "" not found' }],
  [
    'a directory for Dockerfile',
    'CLIENT build dir',
    { error: 'Error response from daemon: unexpected error reading Dockerfile: read Dockerfile: is a directory' },
  ],
  ['stdin for both', 'CLIENT build -f - -', { error: "invalid argument: can't use stdin for both build context and dockerfile" }],
  [
    'a Dockerfile from stdin beside -f',
    'CLIENT build -f c/sub/Real - <out/Outer',
    { error: 'unable to prepare context: ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles' },
  ],
  [
    'nothing on stdin',
    'CLIENT build - </dev/null',
    { error: 'Error response from daemon: the Dockerfile (Dockerfile) cannot be empty' },
  ],
  [
    '-f that leads out of an archive',
    'tar -C c -c . | CLIENT build -f ../x -',
    { error: 'Error response from daemon: forbidden path outside the build context: ../x ()' },
  ],
  ['a network that is not there', 'CLIENT build --network nosuch c', { error: 'network nosuch not found' }],
  ['a container that is not there', 'CLIENT build --network container:nosuch c', { error: 'No such container: nosuch' }],
];

for (const client of clients) {
  for (const [title, line, outcome] of ROWS) {
    void t.test(`${title}, typed with ${client}`, { timeout: 120_000 }, async (t) => {
      const typed = line.replaceAll('CLIENT build', `${client} build --no-cache`);
      const { code, stdout, stderr } = await rig.sh(`export DOCKER_BUILDKIT=0; ${typed}`);
      if ('built' in outcome) {
        t.equal(code, 0, stderr);
        t.ok(stdout.includes(outcome.built), stdout);
        return;
      }
      t.equal(code, 1, stdout);
      t.ok(stderr.split('\n').includes(outcome.error.replaceAll('DIR', rig.dir)), `${stderr} has ${outcome.error}`);
    });
  }

  void t.test(`where RUN runs is what --network says, typed with ${client}`, { timeout: 120_000 }, async (t) => {
    mkdirSync(rig.path('net'), { recursive: true });
    writeFileSync(
      rig.path('net/Dockerfile'),
      'FROM busybox\nRUN echo "<$(readlink /proc/self/ns/net) $(ls /sys/class/net | tr "\\n" " ")>"\n',
    );
    const build = async (...flags: string[]): Promise<string> => {
      const told = await rig.sh(`DOCKER_BUILDKIT=0 ${client} build --no-cache ${flags.join(' ')} net`);
      return /<net:.*>/.exec(told.stdout)?.[0] ?? `${told.stdout}${told.stderr}`;
    };
    const host = readlinkSync('/proc/self/ns/net');
    t.match(await build('--network', 'none'), /^<net:\S+ lo >$/);
    t.match(await build('--network', 'host'), host);
    for (const flags of [['--network', 'default'], ['--network', 'bridge'], ['--network', '""'], []]) {
      const told = await build(...flags);
      t.match(told, / eth0 lo >$/, flags.join(' '));
      t.notMatch(told, host);
    }
    await rig.must(client, 'network', 'create', 'own');
    t.match(await build('--network', 'own', '--add-host', 'there:192.0.2.7'), / eth0 lo >$/);
    await rig.must(client, 'network', 'rm', 'own');
  });
}

void t.test('the flags of `lamina build` reach the steps and the files that they name', { timeout: 120_000 }, async (t) => {
  mkdirSync(rig.path('flags'), { recursive: true });
  writeFileSync(
    rig.path('flags/Dockerfile'),
    'FROM busybox\nARG A=none\nARG B=none\nRUN echo "<$A $B $(grep there /etc/hosts) $(ulimit -n) $(df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2) $(grep pids: /proc/self/cgroup)>"\n',
  );
  const flags =
    '--build-arg A --build-arg B --add-host there:192.0.2.7 --ulimit nofile=77 --shm-size 1m --iidfile id --compress --cgroup-parent mine';
  const told = await rig.sh(`A=here lamina build ${flags} -t flagged --rm=false flags`);
  t.match(told.stdout, /<here none 192\.0\.2\.7\tthere 77 1024 \d+:pids:\/mine\/[0-9a-f]{64}>/);
  t.equal((await rig.sh('cat id')).stdout, await rig.must('lamina', 'image', 'inspect', '-f', '{{.Id}}', 'flagged'));
  t.equal((await rig.must('lamina', 'ps', '-aq')).split('\n').length, 1, 'the container of the step is kept');
  t.match(await rig.run('lamina', 'build', '--memory', 'x', 'flags'), {
    code: 125,
    stderr: /invalid argument "x" for "-m, --memory" flag/,
  });
});
