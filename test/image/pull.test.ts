// Pulling from Debian's docker-registry: open, with passwords, with a token server; what is asked, told and recorded.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { listImages, pullImage, removeImage, resolveImage } from '../../src/image/index.js';
import type { TransferEvent } from '../../src/image/index.js';
import { imageId } from './archives.js';
import { fill, htpasswd, PASSWORD, startRegistry, startTokenServer, USER } from './registry-rig.js';
import { base, rig, source, top } from './seed.js';
import { failure } from './store-rig.js';

const credentials = { username: USER, password: PASSWORD };
const login = [`--dest-creds=${USER}:${PASSWORD}`];

void t.test('an open registry: the image, its names, its layers, what is told', async (t) => {
  const host = await startRegistry(t);
  await fill(t, host, 'dir/busy:1', source);
  const made = rig(t);
  const events: TransferEvent[] = [];
  const progress = (event: TransferEvent): void => void events.push(event);
  const pulled = await pullImage(made.store, `${host}/dir/busy:1`, { progress });
  t.equal(pulled.id, imageId(source));
  t.notOk(pulled.upToDate);
  const image = await resolveImage(made.store, `${host}/dir/busy:1`);
  t.same(readdirSync(join(image.layers[0] ?? '', 'etc')).sort(), ['conf', 'new']);
  t.same(image.references, [`${host}/dir/busy:1`]);
  t.same(image.digests, [`${host}/dir/busy@sha256:${pulled.digest}`]);
  t.equal((await resolveImage(made.store, `${host}/dir/busy@sha256:${pulled.digest}`)).id, pulled.id);
  t.same(events[0], { id: '1', status: 'Pulling from dir/busy' });
  const ids = [...new Set(events.flatMap(({ id }) => (id === undefined || id === '1' ? [] : id)))];
  t.equal(ids.length, 2);
  for (const id of ids) {
    const told = [...new Set(events.filter((event) => event.id === id).map(({ status }) => status))];
    t.same(told, ['Pulling fs layer', 'Downloading', 'Download complete', 'Extracting', 'Pull complete']);
  }
  t.same(events.slice(-2), [
    { status: `Digest: sha256:${pulled.digest}` },
    { status: `Status: Downloaded newer image for ${host}/dir/busy:1` },
  ]);
  t.same(readdirSync(join(made.root, 'download')), ['kept'], 'no download is left');
  t.same(readdirSync(join(made.root, 'download/kept')), []);

  events.length = 0;
  const again = await pullImage(made.store, `${host}/dir/busy:1`, { progress });
  t.ok(again.upToDate);
  t.same([...new Set(events.filter(({ id }) => id !== undefined && id !== '1').map(({ status }) => status))], ['Already exists']);
  t.equal(events.at(-1)?.status, `Status: Image is up to date for ${host}/dir/busy:1`);
  t.same((await removeImage(made.store, `${host}/dir/busy:1`)).untagged.length, 2, 'the digest goes with the tag');
  t.same(await made.residue(), []);
});

void t.test('a tag that moved leaves the old image its digest', async (t) => {
  const host = await startRegistry(t);
  const made = rig(t);
  await fill(t, host, 'busy:1', source);
  const old = await pullImage(made.store, `${host}/busy:1`);
  await fill(t, host, 'busy:1', { layers: [base] });
  const fresh = await pullImage(made.store, `${host}/busy:1`);
  t.not(old.id, fresh.id);
  const images = await listImages(made.store);
  t.same(
    images.map(({ id, references, digests }) => [id, references.length, digests.length]).sort(),
    [
      [old.id, 0, 1],
      [fresh.id, 1, 1],
    ].sort(),
  );
  t.equal((await resolveImage(made.store, `${host}/busy@sha256:${old.digest}`)).id, old.id);
  t.equal((await pullImage(made.store, `${host}/busy:ignored@sha256:${old.digest}`)).id, old.id, 'pulled by digest');
});

void t.test("what is not there, in Docker's words", async (t) => {
  const host = await startRegistry(t);
  await fill(t, host, 'busy:1', source);
  const made = rig(t);
  const fails = (name: string): Promise<string> => failure(pullImage(made.store, `${host}/${name}`, { backoffMs: 1 }));
  t.equal(await fails('busy:2'), `RegistryError: manifest for ${host}/busy:2 not found: manifest unknown: manifest unknown`);
  t.match(await fails('none'), /manifest for .*none:latest not found|pull access denied for .*none, repository does not exist/);
  t.match(
    await failure(pullImage(made.store, '127.0.0.1:1/x', { backoffMs: 1 })),
    /^RegistryError: GET http:\/\/127.0.0.1:1\/v2\/: .*ECONNREFUSED/,
  );
  t.same(await made.residue(), []);
});

void t.test('a registry that wants a password', async (t) => {
  const host = await startRegistry(t, htpasswd(t));
  await fill(t, host, 'busy:1', source, login);
  const made = rig(t);
  const pull = (given?: typeof credentials): Promise<unknown> => pullImage(made.store, `${host}/busy:1`, { credentials: given });
  t.match(await failure(pull()), /no basic auth credentials: log in to 127/);
  t.match(await failure(pull({ ...credentials, password: 'wrong' })), /unauthorized: authentication required/);
  await pull(credentials);
  t.equal((await resolveImage(made.store, `${host}/busy:1`)).id, imageId(source));
});

void t.test('a registry that sends to a token server', async (t) => {
  const tokens = await startTokenServer(t);
  const host = await startRegistry(t, tokens.auth);
  await fill(t, host, 'open/busy:1', source, login);
  await fill(t, host, 'mine/busy:1', { layers: [base, top, base] }, login);
  const made = rig(t);
  tokens.asked.length = 0;
  await pullImage(made.store, `${host}/open/busy:1`);
  t.same(tokens.asked, [{ scope: 'repository:open/busy:pull', user: undefined }], 'one token serves the whole pull');
  t.match(
    await failure(pullImage(made.store, `${host}/mine/busy:1`)),
    new RegExp(
      `RegistryError: pull access denied for ${host}/mine/busy, repository does not exist or may require 'docker login'`,
    ),
  );
  const wrong = { credentials: { ...credentials, password: 'wrong' } };
  t.match(await failure(pullImage(made.store, `${host}/mine/busy:1`, wrong)), /unauthorized: incorrect username or password/);
  const { id } = await pullImage(made.store, `${host}/mine/busy:1`, { credentials });
  t.equal(id, imageId({ layers: [base, top, base] }));
});
