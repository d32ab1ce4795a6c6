// Pushing to Debian's docker-registry: the same image comes back, layers go once, refusals are told.

import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { pullImage, pushImage, resolveImage, tagImage } from '../../src/image/index.js';
import type { TransferEvent } from '../../src/image/index.js';
import { mustCommand } from '../support/command.js';
import { asTar, imageId, modernArchive } from './archives.js';
import { htpasswd, PASSWORD, startRegistry, startTokenServer, USER } from './registry-rig.js';
import { base, rig, source, top } from './seed.js';
import { failure } from './store-rig.js';

const credentials = { username: USER, password: PASSWORD };

void t.test('an image goes out and comes back the same; its layers go once', async (t) => {
  const host = await startRegistry(t);
  const made = rig(t);
  await made.load(asTar(modernArchive({ ...source, layers: [base, top, base] })));
  await tagImage(made.store, 'busy:1', `${host}/a/busy:2`);
  const events: TransferEvent[] = [];
  const pushed = await pushImage(made.store, `${host}/a/busy:2`, { progress: (event) => events.push(event) });
  t.equal(events.filter(({ status }) => status === 'Pushed').length, 2);
  t.equal(events.at(-1)?.status, `2: digest: sha256:${pushed.digest} size: ${pushed.size}`);
  const other = rig(t);
  const pulled = await pullImage(other.store, `${host}/a/busy:2`);
  t.equal(pulled.id, imageId({ ...source, layers: [base, top, base] }));
  t.equal(pulled.digest, pushed.digest);
  const seen = await mustCommand(['skopeo', 'inspect', '--tls-verify=false', `docker://${host}/a/busy:2`]);
  t.equal((JSON.parse(seen) as { Digest: string }).Digest, `sha256:${pushed.digest}`);
  events.length = 0;
  t.equal((await pushImage(made.store, `${host}/a/busy:2`, { progress: (event) => events.push(event) })).digest, pushed.digest);
  t.equal(events.filter(({ status }) => status === 'Layer already exists').length, 2);
  t.same(readdirSync(made.store.tmp), []);
});

void t.test('a layer whose files changed is not sent', async (t) => {
  const host = await startRegistry(t);
  const made = rig(t);
  await made.load(asTar(modernArchive({ ...source, tags: [`${host}/busy:1`] })));
  const image = await resolveImage(made.store, `${host}/busy:1`);
  writeFileSync(join(image.layers[0] ?? '', 'etc/new'), 'c');
  t.match(
    await failure(pushImage(made.store, `${host}/busy:1`)),
    /layer \w{12}: its files have changed since it was loaded; load the image again/,
  );
  t.same(readdirSync(made.store.tmp), []);
});

void t.test('with a password, with a token, and without', async (t) => {
  const tokens = await startTokenServer(t);
  for (const auth of [htpasswd(t), tokens.auth]) {
    const host = await startRegistry(t, auth);
    const made = rig(t);
    await made.load(asTar(modernArchive({ ...source, tags: [`${host}/open/busy:1`] })));
    t.match(
      await failure(pushImage(made.store, `${host}/open/busy:1`)),
      /no basic auth credentials|push access denied for .*\/open\/busy/,
    );
    await pushImage(made.store, `${host}/open/busy:1`, { credentials });
  }
});

void t.test('names that cannot be pushed', async (t) => {
  const made = rig(t);
  t.equal(await failure(pushImage(made.store, 'none:1')), 'NoSuchImage: An image does not exist locally with the tag: none');
  t.match(await failure(pushImage(made.store, `x@sha256:${'0'.repeat(64)}`)), /cannot push a digest reference/);
});
