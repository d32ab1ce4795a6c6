// What is fetched from elsewhere: contexts, ADD and import of URLs, from a server on the loopback, and base images for another
// platform. The words are dockerd's.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { type Server, createServer } from 'node:http';
import { type AddressInfo, createServer as createSocketServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { gitContext } from '../../src/build/git-context.js';
import { call } from '../support/engine-api.js';
import { EngineRig, clients } from '../support/engine-rig.js';
import type { Done } from '../support/command.js';
import { tar } from '../image/tar-bytes.js';

const rig = new EngineRig();
const archive = tar([{ name: 'inside', data: 'x' }]);
const contexts = tar([
  { name: 'Dockerfile', data: 'FROM busybox\nLABEL at=top\nCOPY file /' },
  { name: 'Other', data: 'FROM busybox\nLABEL at=other\nCOPY file /' },
  { name: 'file', data: 'x' },
]);
const state = { content: 'first', server: undefined as Server | undefined };
let url = '';

/** By path: status, headers, body. */
const answers: Readonly<Record<string, () => readonly [number, Readonly<Record<string, string>>, Buffer | string]>> = {
  '/d/file%20a': () => [200, { 'Last-Modified': 'Tue, 01 Feb 2022 03:04:05 GMT' }, state.content],
  '/archive.tar': () => [200, {}, archive],
  '/moved': () => [302, { Location: '/d/file%20a' }, ''],
  '/round': () => [301, { Location: '/round' }, ''],
  '/out': () => [301, { Location: 'file:///etc/passwd' }, ''],
  '/named/': () => [200, { 'Content-Disposition': 'attachment; filename="../up/told"' }, 'told'],
  '/nameless/': () => [200, {}, 'none'],
  '/plain': () => [200, { 'Content-Type': 'text/plain; charset=utf-8' }, 'FROM busybox\nLABEL at=plain\nADD local /'],
  '/untold': () => [200, {}, `FROM busybox\nLABEL at=untold\nADD ${url}/named/ /`],
  '/context.tar': () => [200, { 'Content-Type': 'application/octet-stream' }, contexts],
  '/context.tgz': () => [200, { 'Content-Type': 'application/x-gzip' }, gzipSync(contexts)],
  '/broken.tar': () => [200, { 'Content-Type': 'application/x-tar' }, 'FROM busybox\n'],
  '/page': () => [200, { 'Content-Type': 'text/html' }, '<html>'],
  '/empty': () => [200, {}, ''],
  '/forbidden': () => [403, {}, 'no'],
  '/failing': () => [502, {}, 'bad'],
};

/** A repository as files: what git calls a dumb server. */
function ofRepository(path: string): readonly [number, Readonly<Record<string, string>>, Buffer | string] {
  const file = rig.path(`.${path}`.replace(/\?.*/, ''));
  const isThere = path.startsWith('/repository.git/') && existsSync(file) && statSync(file).isFile();
  return isThere ? [200, {}, readFileSync(file)] : [404, {}, 'gone\n'];
}

t.before(async () => {
  await rig.start();
  await rig.loadImages();
  mkdirSync(rig.path('context'));
  writeFileSync(rig.path('context', 'local'), 'local');
  const server = createServer((request, response) => {
    const [status, headers, body] = answers[request.url ?? '']?.() ?? ofRepository(request.url ?? '');
    response.writeHead(status, headers).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  state.server = server;
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
t.teardown(async () => {
  state.server?.close();
  await rig.end();
});

function build(lines: readonly string[], ...flags: string[]): Promise<Done> {
  writeFileSync(rig.path('context', 'Dockerfile'), [...lines, ''].join('\n'));
  return rig.run('lamina', 'build', ...flags, 'context');
}

void t.test('ADD fetches a URL and puts what came where it says, not unpacked', async (t) => {
  const lines = [
    'FROM busybox',
    `ARG AT=${url}`,
    'ADD $AT/d/file%20a /dir/',
    'ADD ["$AT/moved", "local", "$AT/archive.tar", "/several/"]',
    'ADD --chown=7:8 --chmod=4755 ${AT}/d/file%20a /as/named',
    'ADD $AT/named/ /dir/',
    'ADD $AT/nameless/ /nameless',
    `RUN cd /dir && cat 'file a' /several/moved /several/local && ls /several && stat -c '%a %u %g %Y' 'file a' /as/named told /nameless`,
  ];
  const done = await build(lines, '-t', 'fetched');
  const second = Date.UTC(2022, 1, 1, 3, 4, 5) / 1000;
  const owners = [`600 0 0 ${second}`, `4755 7 8 ${second}`, '600 0 0 0', '600 0 0 0'].join('\n');
  t.match(done, { code: 0 }, done.stderr);
  t.ok(done.stdout.includes(`firstfirstlocalarchive.tar\nlocal\nmoved\n${owners}\n`), done.stdout);
  t.equal((await build(lines)).stdout.match(/Using cache/g)?.length, 7, 'the same content is not added again');
  state.content = 'second';
  const again = await build(lines);
  t.equal(again.stdout.match(/Using cache/g)?.length, 1, 'other content is');
  t.match(again.stdout, /^secondsecondlocal/m);
  await rig.must('lamina', 'rmi', 'fetched');
});

void t.test('ADD --checksum heeds what it says', async (t) => {
  const sum = `sha256:${createHash('sha256').update(archive).digest('hex')}`;
  const add = (checksum: string, source: string): Promise<Done> =>
    build(['FROM busybox', `ARG SUM=${checksum}`, `ADD --checksum=$SUM ${source} /x`, 'RUN cat /x | wc -c']);
  t.match(await add(sum, `${url}/archive.tar`), { code: 0, stdout: new RegExp(`^${archive.length}$`, 'm') });
  const other = sum.replace(/.{8}$/, '00000000');
  t.match(await add(other, `${url}/archive.tar`), { code: 1, stderr: `ADD failed: digest mismatch ${sum}: ${other}` });
  t.match(await add(sum, 'local'), { code: 1, stderr: /checksum can't be specified for non-HTTP\(S\) sources/ });
  t.match(await add('md5:1', `${url}/archive.tar`), { code: 1, stderr: /invalid checksum "md5:1"/ });
});

void t.test("what cannot be fetched is told in Docker's words", async (t) => {
  const failing: readonly (readonly [line: string, message: string | RegExp])[] = [
    [`ADD ${url}/none /x`, `ADD failed: failed to GET ${url}/none with status 404 Not Found: gone`],
    [`ADD ${url}/nameless/ /x/`, `ADD failed: cannot determine filename for source ${url}/nameless/`],
    [`ADD ${url}/round /x`, /ADD failed: stopped after 10 redirects/],
    [`ADD ${url}/out /x`, /ADD failed: unsupported protocol scheme "file"/],
    [`COPY ${url}/archive.tar /x`, "COPY failed: source can't be a URL for COPY"],
    ['COPY --from=127.0.0.1:9/none /x /x', /invalid from flag value 127\.0\.0\.1:9\/none: .*ECONNREFUSED/],
    [`ADD ${url}/archive.tar local /x`, /the destination must be a directory and end with a \//],
  ];
  for (const [line, stderr] of failing) t.match(await build(['FROM busybox', line]), { code: 1, stderr }, line);
});

void t.test('import takes what a URL names', async (t) => {
  for (const client of clients) {
    const id = await rig.must(client, 'import', '-c', 'LABEL a=b', `${url}/archive.tar`, 'imported');
    t.match(id, /sha256:[0-9a-f]{64}$/);
    const shown = await rig.must('docker', 'image', 'inspect', '-f', '{{.Comment}} {{.Config.Labels.a}}', 'imported');
    t.equal(shown, `Imported from ${url}/archive.tar b`);
    await rig.must('docker', 'create', '--name', 'box', 'imported', 'none');
    t.match((await rig.sh('docker export box | tar -t')).stdout, /^inside$/m);
    await rig.must('docker', 'rm', 'box');
    await rig.must('docker', 'rmi', 'imported');
    const gone = await rig.run(client, 'import', `${url}/none`);
    t.match(gone, { code: 1, stderr: `failed to GET ${url}/none with status 404 Not Found: gone` });
    t.match(await rig.run(client, 'import', 'http://127.0.0.1:9/x'), {
      code: 1,
      stderr: /Get "http:\/\/127\.0\.0\.1:9\/x": .*ECONNREFUSED/,
    });
  }
});

void t.test('an image that is here for another platform is not taken', async (t) => {
  const foreign = `127.0.0.1:9/foreign`;
  t.match(await build(['FROM scratch', 'LABEL a=b'], '--platform', 'linux/aarch64', '-t', foreign), { code: 0 });
  t.equal(await rig.must('lamina', 'image', 'inspect', '-f', '{{.Os}}/{{.Architecture}}', foreign), 'linux/arm64');
  const from = (platform: string, image = foreign): Promise<Done> => build([`FROM --platform=${platform} ${image}`, 'LABEL c=d']);
  t.match(await from('linux/arm64/v8'), { code: 0 });
  t.match(await from('linux'), { code: 0 });
  t.match(await from('linux/s390x'), { code: 1, stderr: /127\.0\.0\.1:9/ }, 'it is asked for in the registry');
  const id = await rig.must('lamina', 'image', 'inspect', '-f', '{{.Id}}', foreign);
  t.match(await from('linux/s390x', id), {
    code: 1,
    stderr: `image with reference ${id} was found but does not match the specified platform: wanted linux/s390x, actual: linux/arm64`,
  });
  const unknown = /"foobar": unknown operating system or architecture/;
  t.match(await from('foobar'), { code: 1, stderr: unknown });
  t.match(await build(['FROM scratch', 'LABEL a=b'], '--platform', 'foobar'), { code: 1, stderr: unknown });
});

/** The label of what was built, or what was said instead. */
async function built(remote: string, more = ''): Promise<string> {
  const query = `remote=${encodeURIComponent(remote)}&t=remote${more}`;
  const { status, body } = await call(rig.socket, 'POST', `/build?${query}`);
  const told = /"(?:error|message)":"((?:[^"\\]|\\.)*)"/.exec(body)?.[1];
  if (told !== undefined) return `${status} ${JSON.parse(`"${told}"`) as string}`;
  return rig.must('lamina', 'image', 'inspect', '-f', '{{.Config.Labels.at}}', 'remote');
}

void t.test('a context is fetched from a URL, as an archive or as a Dockerfile alone', async (t) => {
  const rows: readonly (readonly [path: string, outcome: string | RegExp, more?: string])[] = [
    ['/context.tar', 'top'],
    ['/context.tgz', 'other', '&dockerfile=Other'],
    ['/untold', 'untold', '&dockerfile=unheeded'],
    ['/plain', '200 ADD failed: missing build context'],
    ['/context.tar', '400 Cannot locate specified Dockerfile: none', '&dockerfile=none'],
    ['/broken.tar', /^400 the build context is not a usable tar archive/],
    ['/page', '500 error detecting content type for remote URL/page: unsupported Content-Type "text/html"'],
    ['/empty', '500 error detecting content type for remote URL/empty: empty response'],
    ['/none', '404 error downloading remote context URL/none: failed to GET URL/none with status 404 Not Found: gone'],
    [
      '/forbidden',
      '403 error downloading remote context URL/forbidden: failed to GET URL/forbidden with status 403 Forbidden: no',
    ],
    ['/failing', '500 error downloading remote context URL/failing: failed to GET URL/failing with status 502 Bad Gateway: bad'],
  ];
  for (const [path, outcome, more] of rows) {
    const told = (await built(url + path, more)).replaceAll(url, 'URL');
    t.match(told, outcome, path);
  }
  t.equal(await built('ftp://192.0.2.7/x'), '500 remoteURL (ftp://192.0.2.7/x) could not be recognized as URL');
  t.match(await rig.run('lamina', 'build', '-f', 'Other', `${url}/context.tgz`), { code: 0, stdout: /LABEL at=other/ });
});

/** A bare repository that is also there as files, with a branch, a tag, symlinks, and a submodule on this host. */
async function makeRepository(): Promise<void> {
  const dockerfile = (at: string): string => `printf 'FROM busybox\\nLABEL at=${at}\\nCOPY file /\\n'`;
  const lines = [
    'set -e; export HOME=$PWD GIT_CONFIG_NOSYSTEM=1; unset GIT_DIR',
    'git init -q -b trunk work; cd work; git config user.email a@b; git config user.name c',
    `mkdir -p sub; ${dockerfile('first')} >Dockerfile; ${dockerfile('sub')} >sub/Dockerfile; touch file sub/file`,
    'ln -s /sub inside; ln -s ../../../../../../etc outside',
    'git add .; git commit -qm 1; git tag v1',
    `git checkout -qb branch/of; ${dockerfile('branch')} >Dockerfile; git commit -qam 2`,
    'git checkout -qb sneaky; git -c protocol.file.allow=always submodule --quiet add "$PWD/../work" stolen; git commit -qam 3',
    `git checkout -q trunk; ${dockerfile('head')} >Dockerfile; git commit -qam 4`,
    'cd ..; git clone -q --bare work repository.git; git -C repository.git update-server-info',
  ];
  const done = await rig.sh(lines.join('\n'));
  if (done.code !== 0) throw new Error(done.stderr);
}

void t.test('a context is a commit of a git repository, or a directory of it', async (t) => {
  await makeRepository();
  const server = createSocketServer((socket) => {
    const child = spawn('git', ['daemon', '--inetd', '--export-all', `--base-path=${rig.dir}`], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    socket.on('error', () => child.kill());
    child.stdin.on('error', () => undefined);
    socket.pipe(child.stdin);
    child.stdout.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const files = `${url}/repository.git`;
  const spoken = `git://127.0.0.1:${(server.address() as AddressInfo).port}/repository.git`;
  const rows: readonly (readonly [remote: string, outcome: string | RegExp])[] = [
    [files, 'head'],
    [spoken, 'head'],
    [`${files}#v1`, 'first'],
    [`${spoken}#branch/of`, 'branch'],
    [`${files}#branch/of:sub`, 'sub'],
    [`${spoken}#:inside`, 'sub'],
    [`${spoken}#:outside`, /^500 error setting git context, "outside": no such file or directory/],
    [`${spoken}#:file`, /^500 error setting git context, "file": not a directory/],
    [`${spoken}#nowhere`, /^500 error fetching: fatal: couldn't find remote ref nowhere\n: exit status 128/],
    [`${spoken}#--upload-pack=false`, '500 invalid refspec: --upload-pack=false'],
    [`${spoken}#sneaky`, /^500 error initializing submodules: [^]*transport 'file' not allowed/],
    ['git@repository.git', /^500 error fetching: [^]*transport 'file' not allowed/],
  ];
  for (const [remote, outcome] of rows) t.match(await built(remote), outcome, remote);
  t.match(await rig.run('lamina', 'build', `${spoken}#v1:sub`), { code: 0, stdout: /LABEL at=sub/ });
});

void t.test('without git on this host a repository is refused, and says what to do', async (t) => {
  const { PATH } = process.env;
  t.teardown(() => (process.env['PATH'] = PATH));
  process.env['PATH'] = rig.dir;
  const context = gitContext('git://192.0.2.7/x.git', t.testdir(), new AbortController().signal);
  await t.rejects(context.next(), {
    name: 'BuildError',
    message: /^unable to find 'git': install git on the engine's host, or clone the repository/,
  });
});
