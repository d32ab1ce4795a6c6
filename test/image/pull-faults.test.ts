// Pulling from a registry that breaks off, redirects, lies or offers several platforms.

import { existsSync, statSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import t from 'tap';
import { pullImage, resolveImage } from '../../src/image/index.js';
import { hostArchitecture, imageId, MANIFEST, putImage, putIndex, sha256 } from './archives.js';
import type { Source } from './archives.js';
import { breakOff, FakeRegistry, sendBlob } from './fake-registry.js';
import { serve } from './registry-rig.js';
import { base, rig, source, top } from './seed.js';
import { failure, openDescriptors } from './store-rig.js';
import { tar } from './tar-bytes.js';

const large = tar([{ name: 'large', data: randomBytes(300_000) }]);
const two: Source = { layers: [large, top] };
const fast = { backoffMs: 1 };

void t.test('a connection that breaks off again and again: the rest is asked for', async (t) => {
  const registry = await FakeRegistry.start(t);
  registry.put('latest', two);
  registry.intercept = (request, reply, blob) => {
    if (blob?.equals(large) !== true) return false;
    breakOff(request, reply, blob, 60_000);
    return true;
  };
  const made = rig(t);
  const { id } = await pullImage(made.store, `${registry.host}/x`, fast);
  t.equal(id, imageId(two));
  const ranges = registry.asked.filter(({ path }) => path.endsWith(sha256(large))).map(({ range }) => range);
  t.equal(ranges[0], undefined);
  t.ok(ranges.length > 3 && ranges.slice(1).every((range) => /^bytes=[1-9]\d*-$/.test(range ?? '')), ranges.join());
});

void t.test('what an interrupted pull has got is kept for the next', async (t) => {
  const registry = await FakeRegistry.start(t);
  registry.put('latest', two);
  const made = rig(t);
  const before = openDescriptors();
  const stop = new AbortController();
  registry.intercept = (_request, reply, blob) => {
    if (blob?.equals(large) !== true) return false;
    reply.writeHead(200, { 'Content-Length': blob.length });
    reply.write(blob.subarray(0, 100_000));
    return true;
  };
  const progress = ({ status, progressDetail }: { status: string; progressDetail?: { current?: number } }): void => {
    if (status === 'Downloading' && (progressDetail?.current ?? 0) > 50_000) stop.abort(new Error('enough'));
  };
  t.equal(
    await failure(pullImage(made.store, `${registry.host}/x`, { ...fast, signal: stop.signal, progress })),
    'Error: enough',
  );
  t.same(await made.residue(), []);
  const kept = join(made.root, 'download/kept', sha256(large));
  const { size } = statSync(kept);
  t.ok(size > 50_000);
  registry.intercept = () => false;
  registry.asked.length = 0;
  await pullImage(made.store, `${registry.host}/x`, fast);
  t.equal(registry.asked.find(({ path }) => path.endsWith(sha256(large)))?.range, `bytes=${size}-`);
  t.notOk(existsSync(kept));
  t.ok(openDescriptors() <= before + 2, 'descriptors are closed');
});

void t.test('a damaged beginning is thrown away, a damaged blob refused', async (t) => {
  const registry = await FakeRegistry.start(t);
  registry.put('latest', two);
  const made = rig(t);
  const kept = join(made.root, 'download/kept', sha256(large));
  registry.intercept = (request, reply, blob) => {
    if (blob?.equals(large) !== true) return false;
    sendBlob(request, reply, Buffer.concat([blob.subarray(0, -1), Buffer.from('?')]));
    return true;
  };
  const message = await failure(pullImage(made.store, `${registry.host}/x`, fast));
  t.match(message, new RegExp(`^RegistryError: the registry sends sha256:\\w+ for the blob sha256:${sha256(large)}`));
  t.same(await made.residue(), []);
  registry.intercept = () => false;
  writeFileSync(kept, 'not the beginning');
  t.equal((await pullImage(made.store, `${registry.host}/x`, fast)).id, imageId(two));
});

void t.test('a server that is busy for a while', async (t) => {
  const registry = await FakeRegistry.start(t);
  registry.put('latest', source);
  let refused = 0;
  registry.intercept = (_request, reply) => {
    if (refused++ % 3 === 2) return false;
    reply.writeHead(503).end();
    return true;
  };
  const made = rig(t);
  t.equal((await pullImage(made.store, `${registry.host}/x`, fast)).id, imageId(source));
  registry.intercept = (_request, reply) => {
    reply.writeHead(503).end();
    return true;
  };
  t.match(await failure(pullImage(made.store, `${registry.host}/x`, fast)), /status 503/);
});

void t.test('a redirect to another host does not get the token', async (t) => {
  const registry = await FakeRegistry.start(t);
  registry.put('latest', source);
  const seen: (string | undefined)[] = [];
  const store = await serve(t, (request, reply) => {
    seen.push(request.headers.authorization);
    sendBlob(request, reply, registry.files.get(`blobs/sha256/${(request.url ?? '').slice(1)}`) ?? Buffer.alloc(0));
  });
  registry.intercept = (request, reply) => {
    const digest = /blobs\/sha256:(\w+)/.exec(request.url ?? '')?.[1];
    if (digest === undefined) return false;
    reply.writeHead(307, { Location: `http://${store}/${digest}` }).end();
    return true;
  };
  const made = rig(t);
  await pullImage(made.store, `${registry.host}/x`, { ...fast, credentials: { registryToken: 'secret' } });
  t.same(seen, [undefined, undefined, undefined]);
  t.ok(registry.asked.some(({ authorization }) => authorization === 'Bearer secret'));
});

void t.test('layers that the store has are not asked for', async (t) => {
  const registry = await FakeRegistry.start(t);
  registry.put('one', { layers: [base] });
  registry.put('two', { layers: [base, top, base] });
  const made = rig(t);
  await pullImage(made.store, `${registry.host}/x:one`, fast);
  registry.asked.length = 0;
  await pullImage(made.store, `${registry.host}/x:two`, fast);
  t.same(
    registry.blobs().filter((digest) => digest !== imageId({ layers: [base, top, base] })),
    [sha256(top)],
  );
});

void t.test('indexes inside indexes: the platform, its variant, no attestation', async (t) => {
  const registry = await FakeRegistry.start(t);
  const image = (architecture: string, variant?: string): ReturnType<typeof putImage> =>
    putImage(
      registry.files,
      { layers: [base], architecture, config: { Cmd: [variant ?? ''] } },
      { platform: { os: 'linux', architecture, variant } },
    );
  const attestation = putImage(registry.files, { layers: [top] }, { platform: { os: 'unknown', architecture: 'unknown' } });
  const inner = putIndex(registry.files, [
    attestation,
    image('arm', 'v5'),
    image('arm', 'v6'),
    image('arm', 'v8'),
    image(hostArchitecture),
  ]);
  const outer = putIndex(registry.files, [inner]);
  registry.tags.set('latest', outer.digest);
  const made = rig(t);
  const name = `${registry.host}/x`;
  const pulled = await pullImage(made.store, name, fast);
  t.equal(`sha256:${pulled.digest}`, outer.digest);
  t.equal((await resolveImage(made.store, name)).config.architecture, hostArchitecture);
  await pullImage(made.store, name, { ...fast, platform: { os: 'linux', architecture: 'arm', variant: 'v7' } });
  t.same((await resolveImage(made.store, name)).config.config.Cmd, ['v6'], 'the best that v7 runs');
  t.match(
    await failure(pullImage(made.store, name, { ...fast, platform: { os: 'linux', architecture: 's390x' } })),
    /no matching manifest for linux\/s390x in the manifest list entries: no match for platform in manifest: not found; it offers: linux\/arm\/v5/,
  );
});

void t.test('manifests that cannot be used', async (t) => {
  const registry = await FakeRegistry.start(t);
  const good = registry.put('good', source);
  const made = rig(t);
  const fails = (name: string): Promise<string> => failure(pullImage(made.store, `${registry.host}/x${name}`, fast));
  const give = (text: string): void => {
    const data = Buffer.from(text);
    registry.files.set(`blobs/sha256/${sha256(data)}`, data);
    registry.tags.set('bad', `sha256:${sha256(data)}`);
  };
  give('{');
  t.match(await fails(':bad'), /the manifest of .*bad cannot be used: not JSON/);
  give(JSON.stringify({ schemaVersion: 1, fsLayers: [] }));
  t.match(await fails(':bad'), /neither an index nor a manifest of schema 2/);
  give(
    JSON.stringify({
      mediaType: MANIFEST,
      config: { mediaType: 'application/vnd.cncf.helm.config.v1+json', digest: `sha256:${good}`, size: 1 },
      layers: [],
    }),
  );
  t.match(await fails(':bad'), /it is no image but of the type application\/vnd.cncf.helm/);
  registry.files.set(`blobs/sha256/${good}`, Buffer.from('{}'));
  t.match(await fails(`@sha256:${good}`), /its digest is sha256:\w+, expected sha256:/);
  t.match(await fails(':a b'), /InvalidReference: invalid reference format/);
  t.same(await made.residue(), []);
});
