// A docker-save archive of Debian's busybox-static: the binary and its applets as one layer. Called by main.ts.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const BUSYBOX = '/bin/busybox';

function tar(directory: string, archive: string, ...members: string[]): void {
  execFileSync('tar', [
    '-C',
    directory,
    '--sort=name',
    '--mtime=@0',
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '-cf',
    archive,
    ...members,
  ]);
}

/** Writes an image of one layer, the tar at `layer`, to `archive`; its other parts are made beside it and removed. */
export function makeArchive(archive: string, layer: string, name: string, createdBy: string): void {
  const base = `${archive}.document`;
  mkdirSync(base);
  try {
    renameSync(layer, join(base, 'layer.tar'));
    const diffId = execFileSync('sha256sum', [join(base, 'layer.tar')], { encoding: 'utf8' }).slice(0, 64);
    const created = new Date().toISOString();
    const config = JSON.stringify({
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      os: 'linux',
      created,
      config: { Cmd: ['sh'], Env: ['PATH=/bin'] },
      rootfs: { type: 'layers', diff_ids: [`sha256:${diffId}`] },
      history: [{ created, created_by: createdBy }],
    });
    const id = createHash('sha256').update(config).digest('hex');
    writeFileSync(join(base, `${id}.json`), config);
    writeFileSync(
      join(base, 'manifest.json'),
      JSON.stringify([{ Config: `${id}.json`, RepoTags: [name], Layers: ['layer.tar'] }]),
    );
    tar(base, archive, 'manifest.json', `${id}.json`, 'layer.tar');
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

/** Packs a directory as a layer, owned by root. */
export function packLayerOf(directory: string, layer: string): void {
  tar(directory, layer, '.');
}

/** The root of a busybox image, made in `base`. */
export function makeBusyboxRoot(base: string): string {
  const root = join(base, 'root');
  for (const name of ['bin', 'etc', 'root', 'tmp', 'proc', 'dev', 'sys', 'srv']) mkdirSync(join(root, name), { recursive: true });
  execFileSync('cp', [BUSYBOX, join(root, 'bin', 'busybox')]);
  const applets = execFileSync(BUSYBOX, ['--list'], { encoding: 'utf8' })
    .split('\n')
    .filter((name) => name !== '' && name !== 'busybox');
  for (const name of applets) symlinkSync('busybox', join(root, 'bin', name));
  writeFileSync(join(root, 'etc', 'passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  return root;
}

/** Writes an image named lamina-demo to `archive`; its parts are made beside it and removed. */
export function makeBusyboxArchive(archive: string): void {
  const base = `${archive}.parts`;
  mkdirSync(base);
  try {
    const layer = join(base, 'layer.tar');
    packLayerOf(makeBusyboxRoot(base), layer);
    makeArchive(archive, layer, 'lamina-demo:latest', "Debian's busybox-static");
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}
