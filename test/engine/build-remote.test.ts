// What is fetched from elsewhere: ADD and import of URLs, from a server on the loopback, and base images for another platform.

import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { EngineRig, clients } from '../support/engine-rig.js';
import type { Done } from '../support/command.js';
import { tar } from '../image/tar-bytes.js';

const rig = new EngineRig();
const archive = tar([{ name: 'inside', data: 'x' }]);
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
};

t.before(async () => {
  await rig.start();
  await rig.loadImages();
  mkdirSync(rig.path('context'));
  writeFileSync(rig.path('context', 'local'), 'local');
  const server = createServer((request, response) => {
    const [status, headers, body] = answers[request.url ?? '']?.() ?? [404, {}, 'gone\n'];
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
