// `npm start`: a container root from an image, mounted and used, with every claim checked on the way. Works in a
// temporary directory of its own and leaves nothing behind. Exit code 1 when a claim does not hold.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { makeBusyboxArchive } from './busybox.js';
import { compareTiers } from './io-table.js';
import { Stage } from './stage.js';

function heading(text: string): void {
  process.stdout.write(`\n\x1b[1m${text}\x1b[0m\n`);
}

/** A claim that the demo makes; it must hold. */
function claim(text: string, holds: boolean): void {
  if (!holds) throw new Error(`this does not hold: ${text}`);
  process.stdout.write(`  ✓ ${text}\n`);
}

function makeVolumes(stage: Stage): string[] {
  for (const name of ['site', 'config', 'target', 'upper', 'work']) mkdirSync(stage.path(name));
  writeFileSync(stage.path('config/settings'), 'from the host\n');
  writeFileSync(stage.path('motd'), 'a single file of the host\n');
  return [
    '-v',
    `${stage.path('site')}:/srv/site`,
    '-v',
    `${stage.path('config')}:/etc/app:ro`,
    '-v',
    `${stage.path('motd')}:/etc/motd`,
  ];
}

function showImage(stage: Stage): void {
  heading("An image: Debian's busybox as a docker-save archive, loaded");
  makeBusyboxArchive(stage.path('busybox.tar'));
  stage.show('lamina', 'image', 'load', '-i', stage.path('busybox.tar'));
  stage.show('lamina', 'image', 'ls');
}

function showRoot(stage: Stage): void {
  heading('A container root, with a rw volume, a ro volume and a file');
  const volumes = makeVolumes(stage);
  stage.show(
    'lamina',
    'mount',
    '--upper',
    stage.path('upper'),
    '--work',
    stage.path('work'),
    ...volumes,
    'lamina-demo',
    stage.path('target'),
  );
  stage.show('lamina', 'ls');

  heading(`Commands in the root (${stage.runner})`);
  stage.inRoot(
    'echo written in the root > /root.txt; echo written in the volume > /srv/site/index.html; cat /etc/motd /etc/app/settings',
  );
  claim('the write in the root is in upper', readFileSync(stage.path('upper/root.txt'), 'utf8') === 'written in the root\n');
  claim(
    'the write in the volume is in its directory on the host',
    readFileSync(stage.path('site/index.html'), 'utf8') === 'written in the volume\n',
  );
  claim('and in no layer', !existsSync(stage.path('upper/srv/site/index.html')));
  const refused = stage.inRoot('echo no > /etc/app/settings || true');
  claim('ro refuses: read-only file system', /read-only file system/i.test(refused));
  claim("and the host's file is as it was", readFileSync(stage.path('config/settings'), 'utf8') === 'from the host\n');
  writeFileSync(stage.path('site/news'), 'from the host, meanwhile\n');
  claim('what the host writes is seen at once', stage.inRoot('cat /srv/site/news').includes('meanwhile'));
  stage.inRoot('rm /bin/vi; ls /bin | wc -l');
  claim('a deleted file of the image is a whiteout in upper', stage.isWhiteout('upper/bin/vi'));
  stage.show('lamina', 'umount', stage.path('target'));
}

async function main(): Promise<void> {
  const stage = new Stage();
  const started = Date.now();
  try {
    showImage(stage);
    showRoot(stage);
    heading('What bypassing buys (64 MiB file, 4 KiB blocks; small files made and deleted)');
    await compareTiers(stage);
  } finally {
    stage.clear();
  }
  heading('Nothing is left');
  claim('no mount, no process, no file', stage.isClear());
  process.stdout.write(`\n${((Date.now() - started) / 1000).toFixed(1)} s. Next: bin/lamina --help, README.md\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`\nnpm start: ${(error as Error).message}\n`);
  process.exitCode = 1;
});
