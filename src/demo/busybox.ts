// A docker-save archive of Debian's busybox-static: the binary and its applets as one layer. Called by main.ts.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
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

function makeLayer(base: string): string {
  const root = join(base, 'root');
  for (const name of ['bin', 'etc', 'root', 'tmp', 'proc', 'dev', 'sys', 'srv']) mkdirSync(join(root, name), { recursive: true });
  execFileSync('cp', [BUSYBOX, join(root, 'bin', 'busybox')]);
  const applets = execFileSync(BUSYBOX, ['--list'], { encoding: 'utf8' })
    .split('\n')
    .filter((name) => name !== '' && name !== 'busybox');
  for (const name of applets) symlinkSync('busybox', join(root, 'bin', name));
  writeFileSync(join(root, 'etc', 'passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  const layer = join(base, 'layer.tar');
  tar(root, layer, '.');
  return layer;
}

/** Writes an image named lamina-demo to `archive`; its parts are made beside it and removed. */
export function makeBusyboxArchive(archive: string): void {
  const base = `${archive}.parts`;
  mkdirSync(base);
  try {
    const layer = makeLayer(base);
    const diffId = execFileSync('sha256sum', [layer], { encoding: 'utf8' }).slice(0, 64);
    const created = new Date().toISOString();
    const config = JSON.stringify({
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      os: 'linux',
      created,
      config: { Cmd: ['sh'], Env: ['PATH=/bin'] },
      rootfs: { type: 'layers', diff_ids: [`sha256:${diffId}`] },
      history: [{ created, created_by: "Debian's busybox-static" }],
    });
    const id = createHash('sha256').update(config).digest('hex');
    writeFileSync(join(base, `${id}.json`), config);
    writeFileSync(
      join(base, 'manifest.json'),
      JSON.stringify([{ Config: `${id}.json`, RepoTags: ['lamina-demo:latest'], Layers: ['layer.tar'] }]),
    );
    tar(base, archive, 'manifest.json', `${id}.json`, 'layer.tar');
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}
