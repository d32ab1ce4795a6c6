// The API itself: what is wrong with a request, and dockerode as a client nobody here wrote.

import { type IncomingMessage, request } from 'node:http';
import { PassThrough, type Readable } from 'node:stream';
import Docker from 'dockerode';
import t from 'tap';
import { waitFor } from '../support/command.js';
import { EngineRig } from '../support/engine-rig.js';

const rig = new EngineRig();
t.teardown(() => rig.end());

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: IncomingMessage['headers'];
}

function call(method: string, path: string, body?: string | Buffer, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: rig.socket, method, path, headers }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text, headers: response.headers }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const json = { 'Content-Type': 'application/json' };

t.before(async () => {
  await rig.start();
  await rig.loadImages();
});

void t.test('requests that are wrong', async (t) => {
  const wrong: readonly (readonly [string, string, string | undefined, Record<string, string>, number, RegExp])[] = [
    ['GET', '/nosuch', undefined, {}, 404, /^{"message":"page not found"}/],
    ['PATCH', '/containers/json', undefined, {}, 404, /page not found/],
    ['GET', '/v1.99/info', undefined, {}, 400, /client version 1\.99 is too new\. Maximum supported API version is 1\.47/],
    ['GET', '/v1.10/info', undefined, {}, 400, /client version 1\.10 is too old\. Minimum supported API version is 1\.22/],
    ['POST', '/containers/create', '{"Image":', json, 400, /invalid JSON|unexpected/],
    ['POST', '/containers/create', '{"Image":7}', json, 400, /cannot unmarshal number into field Image of type string/],
    [
      'POST',
      '/containers/create',
      '{"Image":"x","HostConfig":{"Memory":107374182.4}}',
      json,
      400,
      /cannot unmarshal number 107374182\.4 into field HostConfig\.Memory of type int64/,
    ],
    ['POST', '/containers/create', '[]', json, 400, /invalid JSON/],
    ['POST', '/containers/create', '{"Image":"busybox","HostConfig":{"Binds":"x"}}', json, 400, /HostConfig\.Binds/],
    [
      'POST',
      '/containers/create',
      'Image=x',
      { 'Content-Type': 'text/plain' },
      400,
      /unsupported Content-Type header \(text\/plain\)/,
    ],
    ['POST', '/containers/create', '{"Image":"nope"}', json, 404, /No such image: nope:latest/],
    ['POST', '/containers/create?name=a%2Fb', '{"Image":"busybox"}', json, 400, /Invalid container name \(a\/b\)/],
    [
      'POST',
      '/containers/create',
      '{"Image":"busybox","__proto__":{"x":1},"HostConfig":{"Memory":1}}',
      json,
      400,
      /Minimum memory limit allowed is 6MB/,
    ],
    ...['/networks/create', '/networks/bridge/connect', '/volumes/create', '/containers/nope/exec', '/exec/nope/start'].map(
      (path) => ['POST', path, undefined, json, 400, /invalid JSON: got EOF while reading request body/] as const,
    ),
    ['POST', '/containers/nope/exec', '{invalid', json, 400, /invalid JSON/],
    ['POST', '/containers/create', 'null', json, 400, /config cannot be empty in order to create a container/],
    ['POST', '/networks/create', 'null', json, 400, /network name cannot be empty/],
    ['POST', '/networks/bridge/connect', 'null', json, 404, /No such container/],
    ['POST', '/containers/nope/exec', 'null', json, 404, /No such container: nope/],
    ...['', '=', '=x'].map(
      (entry) =>
        [
          'POST',
          '/containers/create',
          JSON.stringify({ Image: 'busybox', Env: [entry] }),
          json,
          400,
          new RegExp(`invalid environment variable: ${entry}"`),
        ] as const,
    ),
    ...(
      [
        [{ PortBindings: { '8080/tcp': [{ HostPort: 'aa80' }] } }, /invalid port specification: .*aa80/],
        [{ PortBindings: { '19039;1230': [{}] } }, /invalid port specification: .*19039;1230/],
        [{ ShmSize: -1 }, /SHM size can not be less than 0/],
      ] as const
    ).map(
      ([HostConfig, message]) =>
        ['POST', '/containers/create', JSON.stringify({ Image: 'busybox', HostConfig }), json, 400, message] as const,
    ),
    ['POST', '/images/busybox/tag?repo=sha256&tag=x', undefined, {}, 400, /ambiguous tag using digest algorithm as name/],
    ['DELETE', '/images/%20', undefined, {}, 400, /image name cannot be blank/],
    ['GET', '/containers/nope/json', undefined, {}, 404, /No such container: nope/],
    ['GET', '/containers/json?filters=x', undefined, {}, 400, /invalid/],
    ['GET', '/containers/json?filters=%7B%22nosuch%22%3A%5B%22x%22%5D%7D', undefined, {}, 400, /invalid filter 'nosuch'/],
    ['GET', '/networks?filters=%7B%22dangling%22%3A%5B%22true%22%2C%220%22%5D%7D', undefined, {}, 400, /'dangling=\[true 0\]'/],
    ['GET', '/containers/json?limit=x', undefined, {}, 400, /invalid syntax/],
    ['GET', '/containers/%zz/json', undefined, {}, 400, /invalid URL escape/],
    ['DELETE', '/volumes/nope', undefined, {}, 404, /get nope: no such volume/],
    ['POST', '/volumes/create', '{"Name":"../x"}', json, 400, /only .* are allowed/],
    ['GET', '/networks/nope', undefined, {}, 404, /network nope not found/],
    ['GET', '/images/nope/json', undefined, {}, 404, /No such image: nope:latest/],
    ['POST', '/images/create?fromImage=x&platform=foobar', undefined, {}, 400, /unknown operating system or architecture/],
    ['POST', '/images/create?fromImage=UPPER', undefined, {}, 400, /invalid reference format/],
    ['POST', '/exec/nope/start', '{}', json, 404, /No such exec instance: nope/],
    ['POST', '/build?version=2', '', {}, 501, /BuildKit/],
    ['POST', '/build?buildargs=x', '', {}, 400, /buildargs/],
  ];
  for (const [method, path, body, headers, status, message] of wrong) {
    const answer = await call(method, path, body, headers);
    t.match(
      answer,
      { status, body: message, headers: { 'content-type': 'application/json' } },
      `${method} ${path} ${body ?? ''}`,
    );
  }
  const large = Buffer.alloc(5 << 20, ' ');
  t.match(
    await call('POST', '/containers/create', large, json).catch((error: unknown) => ({ status: 400, body: String(error) })),
    {
      status: 400,
      body: /too large|EPIPE|ECONNRESET/,
    },
  );
  t.match(await call('GET', '/_ping'), { status: 200, body: 'OK', headers: { 'api-version': '1.47', ostype: 'linux' } });
  t.equal((await rig.run('lamina', 'ps', '-aq')).stdout, '');
});

void t.test('two clients, one name', async (t) => {
  const create = (): Promise<Answer> => call('POST', '/containers/create?name=contested', '{"Image":"busybox"}', json);
  const answers = await Promise.all([create(), create(), create(), create()]);
  t.same(answers.map(({ status }) => status).sort(), [201, 409, 409, 409]);
  t.match(
    answers.find(({ status }) => status === 409)?.body,
    /The container name \\"\/contested\\" is already in use by container/,
  );
  const volumes = await Promise.all(
    Array.from({ length: 8 }, () => call('POST', '/volumes/create', '{"Name":"contested"}', json)),
  );
  t.same(new Set(volumes.map(({ status }) => status)), new Set([201]));
  t.equal(new Set(volumes.map(({ body }) => body)).size, 1, 'one volume');
  const removals = await Promise.all(Array.from({ length: 4 }, () => call('DELETE', '/containers/contested')));
  t.equal(removals.filter(({ status }) => status === 204).length, 1);
  await call('DELETE', '/volumes/contested');
});

void t.test('dockerode', { timeout: 90_000 }, async (t) => {
  const docker = new Docker({ socketPath: rig.socket });
  const stdout = new PassThrough();
  let said = '';
  stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const [ended, first] = (await docker.run('busybox', ['sh', '-c', 'echo out; exit 3'], stdout, { Tty: true })) as [
    { StatusCode: number },
    Docker.Container,
  ];
  t.equal(ended.StatusCode, 3);
  t.equal(said, 'out\r\n');
  await first.remove();

  const container = await docker.createContainer({
    Image: 'busybox',
    name: 'rode',
    Cmd: ['cat'],
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    Labels: { kind: 'test' },
    HostConfig: { NetworkMode: 'none', Binds: ['rodedata:/data'] },
  });
  const stream = await container.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true });
  const [out, err] = [new PassThrough(), new PassThrough()];
  docker.modem.demuxStream(stream, out, err);
  let echoed = '';
  out.on('data', (chunk: Buffer) => (echoed += chunk.toString()));
  await container.start();
  stream.write('typed\n');
  await waitFor('what was typed to come back', () => echoed === 'typed\n');
  const found = await docker.listContainers({ filters: { label: ['kind=test'] } });
  t.equal(found[0]?.Names[0], '/rode');
  t.match(await container.inspect(), { State: { Running: true }, Mounts: [{ Name: 'rodedata', Destination: '/data' }] });

  const exec = await container.exec({
    Cmd: ['sh', '-c', 'cat; echo told >&2; exit 5'],
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
  });
  const typed = await exec.start({ hijack: true, stdin: true });
  const [execOut, execErr] = [new PassThrough(), new PassThrough()];
  docker.modem.demuxStream(typed, execOut, execErr);
  let all = '';
  execOut.on('data', (chunk: Buffer) => (all += chunk.toString()));
  execErr.on('data', (chunk: Buffer) => (all += chunk.toString()));
  typed.end('into exec\n');
  await waitFor('exec to end', async () => !(await exec.inspect()).Running);
  t.equal((await exec.inspect()).ExitCode, 5);
  await waitFor('its output', () => all.includes('told'));
  t.match(all, /into exec\n/);

  stream.end();
  t.match(await container.wait(), { StatusCode: 0 }, 'the end of stdin ends it');
  t.equal((await container.logs({ stdout: true })).subarray(8).toString(), 'typed\n');
  await container.remove({ v: true });
  await docker.getVolume('rodedata').remove();

  const events = (await docker.getEvents({
    since: 0,
    until: Math.floor(Date.now() / 1000) + 1,
    filters: { container: ['rode'] },
  })) as unknown as Readable;
  let lines = '';
  for await (const chunk of events) lines += String(chunk);
  const actions = lines
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { Action: string }).Action.split(':')[0]);
  for (const action of ['create', 'attach', 'start', 'exec_create', 'exec_start', 'die', 'destroy'])
    t.ok(actions.includes(action), action);
});

void t.test('a terminal: its size, its changes, and leaving it', { timeout: 60_000 }, async (t) => {
  const docker = new Docker({ socketPath: rig.socket });
  const container = await docker.createContainer({
    Image: 'busybox',
    Cmd: ['sh'],
    Tty: true,
    OpenStdin: true,
    HostConfig: { NetworkMode: 'none' },
  });
  const stream = await container.attach({ stream: true, stdin: true, stdout: true, hijack: true });
  let shown = '';
  stream.on('data', (chunk: Buffer) => (shown += chunk.toString()));
  await container.start();
  await container.resize({ h: 33, w: 111 });
  stream.write('stty size; tty\n');
  await waitFor('the size', () => /33 111\r\n\/dev\/pts\/0|33 111\r\n\/dev\/console/.test(shown));
  await container.resize({ h: 20, w: 80 });
  stream.write('stty size\n');
  await waitFor('the other size', () => shown.includes('20 80'));
  const left = new Promise((resolve) => stream.once('end', resolve));
  stream.write('\x10\x11');
  await left;
  t.equal((await container.inspect()).State.Running, true, 'detached, not ended');
  const again = await container.attach({ stream: true, stdin: true, stdout: true, hijack: true });
  again.write('exit 4\n');
  again.resume();
  t.match(await container.wait(), { StatusCode: 4 });
  await container.remove();
});
