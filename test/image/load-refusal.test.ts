// What cannot be loaded is refused in words, and leaves nothing.

import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { loadImage } from '../../src/image/index.js';
import { asTar, imageId, legacyArchive, ociLayout, sha256 } from './archives.js';
import type { Files } from './archives.js';
import { failure } from './store-rig.js';
import { tar } from './tar-bytes.js';
import { base, compressions, rig, source, top } from './seed.js';

void t.test('what is not an image archive', async (t) => {
  const made = rig(t);
  const file = (name: string, data: Buffer | string): string => {
    writeFileSync(join(made.dir, name), data);
    return join(made.dir, name);
  };
  mkdirSync(join(made.dir, 'empty-dir'));
  mkdirSync(join(made.dir, 'fifo-dir'));
  execFileSync('mkfifo', [join(made.dir, 'fifo-dir', 'index.json')]);
  symlinkSync('/nonexistent', join(made.dir, 'dangling'));
  const old = new Map([['repositories', Buffer.from('{}')]]);
  const cases: readonly (readonly [string, RegExp])[] = [
    [join(made.dir, 'absent'), /absent: no such file or directory; give the path/],
    [join(made.dir, 'dangling'), /no such file or directory/],
    [file('empty', ''), /the file is empty/],
    [file('text', 'hello\n'.repeat(1000)), /not an image archive: neither a tar nor an OCI layout/],
    [file('short', 'hi'), /not an image archive|unexpected end/],
    [file('zeros', Buffer.alloc(10240)), /holds neither manifest.json nor index.json/],
    [file('other.tar', tar([{ name: 'x', data: 'y' }])), /holds neither manifest.json nor index.json/],
    [file('old.tar', asTar(old)), /format of Docker before 1.10/],
    [file('no-images.tar', asTar(new Map([['manifest.json', Buffer.from('[]')]]))), /holds no image/],
    [file('bad-json.tar', asTar(new Map([['manifest.json', Buffer.from('[{')]]))), /manifest.json: not JSON/],
    [file('bad-type.tar', asTar(new Map([['manifest.json', Buffer.from('[{"Config":7}]')]]))), /Config is not a string/],
    [
      file(
        'loop.tar',
        tar([
          { name: 'manifest.json', type: '2', linkname: 'm' },
          { name: 'm', type: '2', linkname: 'manifest.json' },
        ]),
      ),
      /too many links from manifest.json/,
    ],
    [join(made.dir, 'empty-dir'), /holds neither/],
    [join(made.dir, 'fifo-dir'), /not a regular file/],
  ];
  for (const [path, says] of cases) {
    const message = await failure(loadImage(made.store, path));
    t.match(message, says);
    t.match(message, /^ImageError: .*; /);
  }
  t.same(await made.residue(), []);
});

void t.test('a missing decompressor is named with its package', async (t) => {
  const made = rig(t);
  const path = process.env['PATH'];
  t.teardown(() => (process.env['PATH'] = path));
  const bytes = compressions['zstd']?.(asTar(legacyArchive(source))) ?? Buffer.alloc(0);
  process.env['PATH'] = '/nonexistent';
  t.match(
    await failure(made.load(bytes)),
    /compressed with zstd, and the program zstd is not installed; install the Debian package zstd$/,
  );
  process.env['PATH'] = path;
  t.same(await made.residue(), []);
});

void t.test('an aborted load leaves nothing', async (t) => {
  const made = rig(t);
  const abort = new AbortController();
  const progress = (): void => abort.abort(new Error('stop'));
  t.match(await failure(made.load(asTar(legacyArchive(source)), { progress, signal: abort.signal })), /stop/);
  t.match(
    await failure(
      made.load(asTar(legacyArchive({ ...source, compress: (data) => gzipSync(data) })), { progress, signal: abort.signal }),
    ),
    /stop/,
  );
  t.same(await made.residue(), []);
});

void t.test('a config or a layer that does not match', async (t) => {
  const made = rig(t);
  const lies = (change: (files: Files) => void, make = ociLayout): Buffer => {
    const files = make(source);
    change(files);
    return asTar(files);
  };
  const replace = (files: Files, old: Buffer, now: Buffer): unknown => files.set(`blobs/sha256/${sha256(old)}`, now);
  t.match(await failure(made.load(lies((files) => replace(files, top, base)))), /the manifest says/);
  const same = Buffer.from(top);
  same[600] = (same[600] ?? 0) ^ 1;
  t.match(
    await failure(made.load(lies((files) => replace(files, top, same)))),
    /its digest is sha256:|header checksum|uncompressed digest/,
  );
  t.match(
    await failure(made.load(lies((files) => files.delete(`blobs/sha256/${sha256(top)}`)))),
    /layer blobs\/sha256\/\w+: it is missing from the archive/,
  );
  t.match(
    await failure(made.load(lies((files) => files.delete(`blobs/sha256/${imageId(source)}`)))),
    /it is missing from the archive/,
  );
  t.match(
    await failure(made.load(lies((files) => files.set(`${imageId(source)}.json`, Buffer.from('{}')), legacyArchive))),
    /its digest is sha256:/,
  );
  const short = legacyArchive(source);
  short.set('manifest.json', Buffer.from((short.get('manifest.json')?.toString() ?? '').replace(/,"[^"]*layer.tar"/, '')));
  t.match(await failure(made.load(asTar(short))), /the config names 2 layers, the manifest 1/);
  t.same(await made.residue(), []);
});
