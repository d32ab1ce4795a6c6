// `login`, `logout`, `search` and the inspection of what a registry has, with `lamina`, with a real `docker` and with dockerode,
// against Debian's docker-registry (htpasswd, tokens) and an index made of a few lines, all on the loopback.

import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import t from 'tap';
import Docker from 'dockerode';
import { PASSWORD, USER, htpasswd, serve, startRegistry, startTokenServer } from '../image/registry-rig.js';
import { call } from '../support/engine-api.js';
import { EngineRig, clients } from '../support/engine-rig.js';

const rig = new EngineRig();
const CONFIG = rig.path('docker/config.json');
let basic = '';
let token = '';

t.before(async () => {
  await rig.start();
  await rig.loadImages();
  basic = await startRegistry(t, htpasswd(t));
  token = await startRegistry(t, (await startTokenServer(t)).auth);
});
t.teardown(() => rig.end());

const kept = (): unknown => JSON.parse(readFileSync(CONFIG, 'utf8'));
const AUTH = Buffer.from(`${USER}:${PASSWORD}`).toString('base64');
const forget = (): void => rmSync(rig.path('docker'), { recursive: true, force: true });

for (const client of clients) {
  const login = (password: string, server: string): ReturnType<EngineRig['sh']> =>
    rig.sh(`printf '${password}\\n' | ${client} login -u ${USER} --password-stdin ${server}`);

  void t.test(`login asks the registry and keeps what holds, typed with ${client}`, { timeout: 60_000 }, async (t) => {
    forget();
    t.match(await login('wrong', basic), {
      code: 1,
      stderr: `Error response from daemon: login attempt to http://${basic}/v2/ failed with status: 401 Unauthorized`,
    });
    t.match(await login('wrong', token), { code: 1, stderr: /Error response from daemon: .*unauthorized: / });
    t.notOk(existsSync(CONFIG), 'nothing is kept of what does not hold');
    t.match(await login(PASSWORD, basic), { code: 0, stdout: 'Login Succeeded\n' });
    t.equal(statSync(CONFIG).mode & 0o777, 0o600);
    t.match(await login(PASSWORD, `http://${token}/v1/`), { code: 0, stdout: 'Login Succeeded\n' });
    t.same(kept(), { auths: { [basic]: { auth: AUTH }, [token]: { auth: AUTH } } });
    const again = await rig.run(client, 'login', basic);
    t.equal(again.code, 0);
    t.match(`${again.stdout}${again.stderr}`, 'Authenticating with existing credentials... [Username: anna]\n');
    t.match(again.stdout, /Login Succeeded\n$/);

    await rig.must(client, 'tag', 'busybox', `${basic}/made/by:${client}`);
    await rig.must(client, 'push', '-q', `${basic}/made/by:${client}`);
    await rig.must(client, 'rmi', `${basic}/made/by:${client}`);
    const other = await rig.run('docker', 'pull', '--platform', 'linux/s390x', `${basic}/made/by:${client}`);
    t.match(other, { code: 1, stderr: /does not match the specified platform: wanted linux\/s390x/ });
    await rig.must(client, 'pull', '-q', `${basic}/made/by:${client}`);
    const format = '{{.Action}} {{.Actor.ID}} {{.Actor.Attributes.name}}';
    const told = ['-f', `image=${basic}/made/by:${client}`, '-f', 'event=push', '-f', 'event=pull'];
    const until = String(Date.now() / 1000);
    const events = await rig.must('docker', 'events', '--until', until, ...told, '--format', format);
    t.same(
      events.split('\n'),
      ['push', 'pull'].map((action) => `${action} ${basic}/made/by:${client} ${basic}/made/by`),
    );

    t.equal(await rig.must(client, 'logout', basic), `Removing login credentials for ${basic}`);
    t.same(kept(), { auths: { [token]: { auth: AUTH } } });
    t.match(await rig.run(client, 'push', '-q', `${basic}/made/by:${client}`), { code: 1, stderr: /no basic auth credentials/ });
    await rig.must(client, 'logout', token);
    t.equal(await rig.must(client, 'logout'), 'Removing login credentials for https://index.docker.io/v1/');
  });

  void t.test(`login with flags that do not go together is refused, typed with ${client}`, async (t) => {
    forget();
    const refused = async (words: string, flags: string): Promise<void> => {
      t.match(await rig.sh(`${client} login ${flags} ${basic} </dev/null`), { code: 1, stderr: words });
    };
    await refused('conflicting options: cannot specify both --password and --password-stdin', '-u a -p x --password-stdin');
    await refused('the --password-stdin option requires --username to be set', '--password-stdin');
    await refused('Error: Cannot perform an interactive login from a non TTY device', `-u ${USER}`);
    await refused('Error: Cannot perform an interactive login from a non TTY device', '');
  });

  void t.test(`a credential helper keeps the secret, typed with ${client}`, async (t) => {
    forget();
    mkdirSync(rig.path('docker'), { recursive: true });
    mkdirSync(rig.path('helpers'), { recursive: true });
    const told = rig.path(`helper-of-${client}`);
    const helper = rig.path('helpers/docker-credential-test');
    writeFileSync(
      helper,
      `#!/bin/sh\ninput=$(cat)\necho "$1 $input" >>${told}\n[ $1 = get ] && { echo credentials not found in native keychain; exit 1; }\nexit 0\n`,
    );
    chmodSync(helper, 0o755);
    writeFileSync(CONFIG, JSON.stringify({ credsStore: 'test', detachKeys: 'ctrl-a' }));
    const type = (line: string): ReturnType<EngineRig['sh']> => rig.sh(`PATH=${rig.path('helpers')}:$PATH ${client} ${line}`);
    t.match(await type(`login -u ${USER} -p ${PASSWORD} ${basic}`), { code: 0, stdout: 'Login Succeeded\n' });
    t.same(kept(), { auths: { [basic]: {} }, credsStore: 'test', detachKeys: 'ctrl-a' });
    t.ok(
      readFileSync(told, 'utf8').includes(`store ${JSON.stringify({ ServerURL: basic, Username: USER, Secret: PASSWORD })}\n`),
    );
    t.match(await type(`logout ${basic}`), { code: 0 });
    t.ok(readFileSync(told, 'utf8').includes(`erase ${basic}\n`));
    t.same(kept(), { auths: {}, credsStore: 'test', detachKeys: 'ctrl-a' });
  });

  void t.test(`search shows what an index knows, typed with ${client}`, async (t) => {
    forget();
    const asked: string[] = [];
    const results = [
      { name: 'thing', description: 'a thing\nwith lines', is_official: true, star_count: 42 },
      { name: 'anna/thing', description: 'x'.repeat(80), is_official: false, is_automated: true, star_count: 3 },
    ];
    const index = await serve(t, (request, reply) => {
      asked.push(request.url ?? '');
      if (request.url?.startsWith('/v1/search')) reply.end(JSON.stringify({ results }));
      else reply.writeHead(404).end();
    });
    const search = (...args: string[]): Promise<string> => rig.must(client, 'search', ...args);
    const shown = Buffer.from(await search(`${index}/thing`), 'latin1').toString();
    t.same(
      shown.split('\n').flatMap((line) => line.trimEnd() || []),
      [
        'NAME         DESCRIPTION                                     STARS     OFFICIAL',
        'thing        a thing with lines                              42        [OK]',
        `anna/thing   ${'x'.repeat(44)}…   3`,
      ],
    );
    t.equal(asked.at(-1), '/v1/search?q=thing&n=25');
    t.equal(
      await search('--filter', 'stars=5', '--format', '{{.Name}} {{.StarCount}} {{.IsOfficial}}', `${index}/thing`),
      'thing 42 [OK]',
    );
    t.equal(
      await search('--filter', 'is-official=false', '--no-trunc', '--format', '{{.Description}}', `${index}/x`),
      'x'.repeat(80),
    );
    await search('--limit', '7', `${index}/thing`);
    t.equal(asked.at(-1), '/v1/search?q=thing&n=7');
    const refused = async (words: RegExp, ...args: string[]): Promise<void> => {
      t.match(await rig.run(client, 'search', ...args), { code: 1, stderr: words });
    };
    await refused(
      /^Error response from daemon: Limit 200 is outside the range of \[1, 100\]\n$/,
      '--limit',
      '200',
      `${index}/thing`,
    );
    await refused(/^Error response from daemon: [Ii]nvalid filter 'foo'\n$/, '--filter', 'foo=1', `${index}/thing`);
    await refused(
      /^Error response from daemon: [Ii]nvalid filter 'is-official=\[x\]'/,
      '--filter',
      'is-official=x',
      `${index}/thing`,
    );
    await refused(/^Error response from daemon: Unexpected status code 404\n$/, `${basic}/thing`);
    await refused(
      /^Error response from daemon: GET http:\/\/127.0.0.1:9\/v1\/search.*ECONNREFUSED.*check the name/,
      '127.0.0.1:9/thing',
    );
  });
}

void t.test('login writes through a symlink, and leaves a file alone that is none of its kind', async (t) => {
  forget();
  mkdirSync(rig.path('docker'), { recursive: true });
  writeFileSync(rig.path('elsewhere.json'), '{"auths":{}}', { mode: 0o644 });
  symlinkSync('../elsewhere.json', CONFIG);
  const login = (): ReturnType<EngineRig['run']> => rig.run('lamina', 'login', '-u', USER, '-p', PASSWORD, basic);
  t.match(await login(), { code: 0 });
  t.same(JSON.parse(readFileSync(rig.path('elsewhere.json'), 'utf8')), { auths: { [basic]: { auth: AUTH } } });
  t.equal(statSync(rig.path('elsewhere.json')).mode & 0o777, 0o600);
  writeFileSync(CONFIG, 'not json');
  const refused = await login();
  t.not(refused.code, 0);
  t.match(refused.stderr, /elsewhere\.json: .*; correct it/);
  t.equal(readFileSync(CONFIG, 'utf8'), 'not json');
});

/** The status and the words with which something is refused. */
async function refusal(asked: Promise<unknown>): Promise<string> {
  try {
    await asked;
    return 'nothing is refused';
  } catch (error) {
    const { statusCode, message } = error as Error & { statusCode: number };
    return `${statusCode} ${message}`;
  }
}

void t.test('dockerode checks credentials and inspects what a registry has', { timeout: 60_000 }, async (t) => {
  const docker = new Docker({ socketPath: rig.socket });
  const auth = { username: USER, password: PASSWORD, serveraddress: basic };
  t.same(await docker.checkAuth(auth), { IdentityToken: '', Status: 'Login Succeeded' });
  t.match(await refusal(docker.checkAuth({ ...auth, password: 'no' })), /^401 .*/);
  t.match(await refusal(docker.checkAuth({ ...auth, serveraddress: token, password: 'no' })), /^401 .*/);
  t.match(await refusal(docker.checkAuth({ serveraddress: basic })), /^500 .*no basic auth credentials/);
  t.match(await refusal(docker.checkAuth({ ...auth, serveraddress: '127.0.0.1:9' })), /^500 .*ECONNREFUSED/);
  t.match(await refusal(docker.checkAuth({ ...auth, serveraddress: ':bad' })), /^400 .*/);

  await docker.getImage('busybox').tag({ repo: `${basic}/in/spected`, tag: '1' });
  const pushed = await docker.getImage(`${basic}/in/spected:1`).push({ authconfig: auth });
  await new Promise((resolve) => docker.modem.followProgress(pushed, resolve));
  const found = (await docker.getImage(`${basic}/in/spected:1`).distribution({ authconfig: auth })) as {
    Descriptor: { digest: string; mediaType: string; size: number };
    Platforms: object[];
  };
  t.match(found.Descriptor, { digest: /^sha256:[0-9a-f]{64}$/, mediaType: /manifest/, size: Number });
  t.same(found.Platforms, [{ architecture: 'amd64', os: 'linux' }]);
  const byDigest = `${basic}/in/spected@${found.Descriptor.digest}`;
  t.same(await docker.getImage(byDigest).distribution({ authconfig: auth }), found);
  const refused = (name: string, given: object): Promise<string> =>
    refusal(docker.getImage(name).distribution({ authconfig: { ...auth, ...given } }));
  t.match(await refused(`${basic}/in/spected:2`, {}), /^404 .*manifest unknown: manifest unknown/);
  t.match(await refused(`${basic}/no/such`, {}), /^404 .*manifest unknown: manifest unknown/);
  t.match(await refused(`${basic}/in/spected:1`, { password: 'no' }), /^401 .*unauthorized: authentication required/);
  t.match(await refused('127.0.0.1:9/x', {}), /^500 .*ECONNREFUSED/);
  t.match(await refused('UPPER', {}), /^400 .*must be lowercase/);

  await docker.getImage(`${basic}/in/spected:1`).remove();
  const pulled = await docker.pull(byDigest, { authconfig: auth });
  await new Promise((resolve) => docker.modem.followProgress(pulled, resolve));
  const { Id: id } = await docker.getImage(byDigest).inspect();
  await docker.getImage(byDigest).remove({ force: true });
  t.match(await refusal(docker.getImage(byDigest).inspect()), /^404 /);
  t.match(await docker.getImage('busybox').inspect(), { Id: id }, 'its other names stay');
});

void t.test('an index of several platforms is told platform by platform', async (t) => {
  forget();
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: ['amd64', 'arm64'].map((architecture) => ({
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: `sha256:${'0'.repeat(64)}`,
      size: 1,
      platform: { os: 'linux', architecture, ...(architecture === 'arm64' ? { variant: 'v8' } : {}) },
    })),
  });
  const host = await serve(t, (request, reply) => {
    reply.end(request.url === '/v2/many/manifests/latest' ? manifest : '{}');
  });
  const answer = await call(rig.socket, 'GET', `/v1.47/distribution/${host}/many/json`);
  t.equal(answer.status, 200, answer.body);
  t.match(JSON.parse(answer.body), {
    Descriptor: { mediaType: 'application/vnd.oci.image.index.v1+json', size: manifest.length },
    Platforms: [
      { architecture: 'amd64', os: 'linux' },
      { architecture: 'arm64', os: 'linux', variant: 'v8' },
    ],
  });
});
