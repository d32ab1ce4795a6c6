// The socket below the API: versions, paths, requests out of bounds, names that many ask for at once, streams that are closed
// on one side, contexts of Docker's client, and what the daemon says when a registry fails.

import { connect } from 'node:net';
import t from 'tap';
import { command, waitFor } from '../support/command.js';
import { EngineRig, clients } from '../support/engine-rig.js';
import { call, mustCall } from '../support/engine-api.js';
import { patient } from '../support/patience.js';

const rig = new EngineRig();
t.teardown(() => rig.end());
t.before(async () => {
  await rig.start();
  await rig.loadImages();
});

/** Sends bytes, closes our side when `half`, and gives all that comes back until the other side closes too. */
function exchange(bytes: string, half = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: rig.socket, allowHalfOpen: true });
    const timer = setTimeout(() => socket.destroy(new Error(`no end of the answer to ${bytes.slice(0, 80)}`)), patient(10_000));
    let said = '';
    socket.on('data', (chunk: Buffer) => (said += chunk.toString('latin1')));
    socket.on('error', (error: NodeJS.ErrnoException) => (error.code === 'EPIPE' || said !== '' ? undefined : reject(error)));
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(said);
    });
    socket.on('end', () => socket.end());
    socket.write(bytes);
    if (half) socket.end();
  });
}

const get = (path: string, ...headers: string[]): string =>
  [`GET ${path} HTTP/1.1`, 'Host: x', 'Connection: close', ...headers, '', ''].join('\r\n');

void t.test('versions and paths are understood as Docker understands them', async (t) => {
  const answers: readonly (readonly [path: string, status: number, body: RegExp])[] = [
    ['/version', 200, /"ApiVersion":"1.47","MinAPIVersion":"1.22"/],
    ['/v1.22/containers/json', 200, /^\[\]/],
    ['/v1.43/containers/json', 200, /^\[\]/],
    ['/v1.47/containers/json', 200, /^\[\]/],
    ['/v1.24.1/containers/json', 200, /^\[\]/],
    ['/v1.12/version', 400, /client version 1\.12 is too old\. Minimum supported API version is 1\.22, please upgrade/],
    ['/v1/version', 400, /client version 1 is too old/],
    ['/v0.9/version', 400, /client version 0\.9 is too old/],
    ['/v1.48/version', 400, /client version 1\.48 is too new\. Maximum supported API version is 1\.47/],
    ['/v2.0/version', 400, /client version 2\.0 is too new/],
    ['/vx/version', 404, /page not found/],
    ['/containers/json/', 404, /page not found/],
    ['/', 404, /page not found/],
    ['//x/info', 301, /^$/],
    ['/v1.47/../info', 301, /^$/],
    ['/images/busybox/unheard-of', 404, /page not found/],
    ['/swarm', 503, /not a swarm manager/],
    ['/v1.40/images/json?filter=nonesuch', 200, /^\[\]/],
    ['/v1.40/images/json?filter=busybox', 200, /^\[\{.*busybox/],
    ['/v1.41/images/json?filter=nonesuch', 200, /^\[\{.*busybox/],
  ];
  for (const [path, status, body] of answers) {
    const answer = await exchange(get(path));
    const [head = '', text = ''] = answer.split(/\r\n\r\n/);
    t.match(head, new RegExp(`^HTTP/1.1 ${status} `), path);
    t.match(text, body, path);
  }
  for (const path of ['/', '/v1.47/containers/json', '/unheard/of'])
    t.match(await call(rig.socket, 'OPTIONS', path), { status: 200, body: '' }, `OPTIONS ${path}`);
  t.match(await exchange(get('/v1.47/../info?x=1')), /^location: \/info\?x=1\r$/im);
  t.match(await exchange(get('/_ping')), /Api-Version: 1.47\r\n[^]*Content-Length: 2\r\n[^]*\r\n\r\nOK$/);
});

void t.test('requests out of bounds are answered, and the next client is served', async (t) => {
  t.match(await exchange(get('/_ping', `X-Big: ${'a'.repeat(500_000)}`)), /^HTTP\/1.1 200 OK/, 'half a megabyte of header');
  t.match(await exchange(get('/_ping', ...Array.from({ length: 3000 }, (_, i) => `X-${i}: a`))), /^HTTP\/1.1 200 OK/);
  t.match(await exchange(get('/_ping', `X-Big: ${'a'.repeat(2_000_000)}`)), /^(HTTP\/1.1 431 |$)/);
  const long = 'a'.repeat(20_000);
  t.match(await exchange(get(`/containers/${long}/json`)), new RegExp(`No such container: ${long}"`));
  t.match(await exchange('GARBAGE\r\n\r\n'), /^HTTP\/1.1 400 Bad Request\r\n[^]*\r\n\r\n400 Bad Request$/);
  t.match(await exchange('POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n'), /^HTTP\/1.1 400 /);
  t.match(await exchange('GET /_ping HTTP/1.1\r\n\r\n'), /^HTTP\/1.1 400 /, 'no Host');
  const large = await call(rig.socket, 'POST', '/containers/create', Buffer.alloc(5 << 20, ' '));
  t.match(large, { status: 400, body: /http: request body too large/ });
  t.match(await call(rig.socket, 'GET', '/_ping'), { status: 200, body: 'OK' });
});

void t.test('of fifty that ask for one name at once, one gets it', async (t) => {
  const create = (): ReturnType<typeof call> => call(rig.socket, 'POST', '/containers/create?name=one', { Image: 'busybox' });
  const answers = await Promise.all(Array.from({ length: 50 }, create));
  const won = answers.filter(({ status }) => status === 201);
  t.equal(won.length, 1);
  const { Id: id } = JSON.parse(won[0]?.body ?? '{}') as { Id: string };
  const lost = new Set(answers.filter(({ status }) => status === 409).map(({ body }) => body.trim()));
  const words = `Conflict. The container name "/one" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.`;
  t.same([...lost], [JSON.stringify({ message: words })]);
  t.equal((await rig.must('lamina', 'ps', '-aq', '--no-trunc')).split('\n').length, 1);
  await rig.must('lamina', 'rm', 'one');
});

for (const client of clients) {
  void t.test(`${client}: output goes on after the end of input`, async (t) => {
    const late = 'cat; sleep 0.5; echo late; echo err >&2';
    const run = await rig.sh(`printf 'in\\n' | ${client} run -i --rm --network none busybox sh -c '${late}'`);
    t.same([run.code, run.stdout, run.stderr], [0, 'in\nlate\n', 'err\n'], 'run');
    await rig.must(client, 'run', '-d', '--name', 'open', '--network', 'none', 'busybox', 'sleep', '1000');
    const exec = await rig.sh(`printf 'in\\n' | ${client} exec -i open sh -c '${late}; exit 3'`);
    t.same([exec.code, exec.stdout, exec.stderr], [3, 'in\nlate\n', 'err\n'], 'exec');
    await rig.must(client, 'rm', '-f', 'open');
    await rig.must(client, 'create', '-i', '--name', 'open', '--network', 'none', 'busybox', 'sh', '-c', late);
    const attach = await rig.sh(`printf 'in\\n' | ${client} start -ai open`);
    t.same([attach.code, attach.stdout, attach.stderr], [0, 'in\nlate\n', 'err\n'], 'start -ai');
    await rig.must(client, 'rm', 'open');
  });
}

void t.test('a hijacked connection that is closed on one side still carries the rest', async (t) => {
  const cmd = ['sh', '-c', 'cat; sleep 0.2; echo late'];
  const rest = '\x01\0\0\0\0\0\0\x03in\n\x01\0\0\0\0\0\0\x05late\n';
  const raw = 'application/vnd.docker.raw-stream';
  /** What is asked for, and how Docker answers: it never says of what does not upgrade how long it is. */
  const asked: readonly (readonly [headers: string, head: RegExp])[] = [
    ['Connection: Upgrade\r\nUpgrade: tcp\r\n', /^HTTP\/1.1 101 UPGRADED\r\n/],
    ['Upgrade: tcp\r\n', /^HTTP\/1.1 101 UPGRADED\r\n/],
    ['', new RegExp(`^HTTP/1.1 200 OK\\r\\n(?![^]*(Transfer-Encoding|Content-Length))[^]*\\r\\nContent-Type: ${raw}\\r\\n`, 'i')],
  ];
  for (const [headers, head] of asked) {
    const body = { Image: 'busybox', Cmd: cmd, OpenStdin: true, StdinOnce: true, HostConfig: { NetworkMode: 'none' } };
    const { Id: id } = JSON.parse((await mustCall(rig.socket, 'POST', '/containers/create', body)).body) as { Id: string };
    const streamed = exchange(
      `POST /containers/${id}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: x\r\n${headers}\r\nin\n`,
      true,
    );
    await mustCall(rig.socket, 'POST', `/containers/${id}/start`);
    const [told = '', ...said] = (await streamed).split('\r\n\r\n');
    t.match(`${told}\r\n`, head);
    t.equal(said.join(''), rest, headers);
    await mustCall(rig.socket, 'DELETE', `/containers/${id}?force=1`);
  }
  await rig.must('lamina', 'run', '-d', '--name', 'open', '--network', 'none', 'busybox', 'sleep', '1000');
  const exec = { AttachStdin: true, AttachStdout: true, Cmd: cmd };
  const { Id: id } = JSON.parse((await mustCall(rig.socket, 'POST', '/containers/open/exec', exec)).body) as { Id: string };
  const start = `POST /v1.47/exec/${id}/start HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}in\n`;
  t.equal((await exchange(start, true)).split('\r\n\r\n').slice(1).join(''), rest, 'exec');
  t.match(await exchange('POST /exec/none/start HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}'), /^HTTP\/1.1 404 /);
  await rig.must('lamina', 'rm', '-f', 'open');
});

void t.test('a log that is read more slowly than it is sent leaves nothing behind', async (t) => {
  const write = 'head -c 2000000 /dev/zero | tr "\\0" x';
  await rig.must('lamina', 'run', '--name', 'talks', '--network', 'none', 'busybox', 'sh', '-c', `${write} >/dev/stderr`);
  t.equal((await rig.run('docker', 'logs', 'talks')).stderr.length, 2_000_000);
  t.notMatch(rig.log(), /MaxListenersExceeded/);
  await rig.must('lamina', 'rm', 'talks');
});

void t.test("a context of Docker's client leads here", async (t) => {
  const docker = (line: string): ReturnType<typeof command> =>
    command(['sh', '-c', `unset DOCKER_HOST; ${line}`], { env: { ...rig.env, DOCKER_HOST: '' }, cwd: rig.dir });
  t.match(await docker(`docker context create here --docker host=unix://${rig.socket}`), { code: 0, stdout: 'here\n' });
  t.match(await docker('docker context use here && docker run --rm --network none busybox echo by context'), {
    code: 0,
    stdout: 'here\nby context\n',
  });
  t.match(await docker('docker version --format "{{.Server.APIVersion}} {{.Client.APIVersion}}"'), { stdout: '1.47 1.47\n' });
  const old = await docker(
    'DOCKER_API_VERSION=1.24 docker version --format "{{.Client.APIVersion}}"; DOCKER_API_VERSION=1.24 docker ps -q',
  );
  t.match(old, { code: 0, stdout: '1.24\n' });
  t.match(await docker('DOCKER_API_VERSION=1.20 docker ps'), { code: 1, stderr: /client version 1\.20 is too old/ });
});

void t.test('a registry that fails is one line of the log: what, why and what to do', async (t) => {
  const before = rig.log();
  const lines = (): string => rig.log().slice(before.length);
  t.match(await rig.run('lamina', 'pull', '127.0.0.1:1/no/where'), { code: 1, stderr: /ECONNREFUSED/ });
  await rig.must('lamina', 'tag', 'busybox', '127.0.0.1:1/no/where:2');
  t.match(await rig.run('docker', 'push', '127.0.0.1:1/no/where:2'), { code: 1, stderr: /ECONNREFUSED/ });
  await waitFor('both to be logged', () => lines().split('\n').length > 2);
  const reason = 'GET https?:.*/v2/: .*ECONNREFUSED.*; check the name of the registry and the network';
  t.match(
    lines(),
    new RegExp(`^\\S+ pull 127.0.0.1:1/no/where:latest: ${reason}\n\\S+ push 127.0.0.1:1/no/where:2: ${reason}\n$`),
  );
  await rig.must('lamina', 'rmi', '127.0.0.1:1/no/where:2');
});
