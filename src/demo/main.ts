// `npm start`: a container root from an image, mounted and used, with every claim checked on the way. Works in a
// temporary directory of its own and leaves nothing behind. Exit code 1 when a claim does not hold.

import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { makeBusyboxArchive } from './busybox.js';
import { InRoot } from './in-root.js';
import { compareTiers } from './io-table.js';
import { Stage } from './stage.js';

const bold = (text: string): string => (process.stdout.isTTY ? `\x1b[1m${text}\x1b[0m` : text);

function heading(text: string): void {
  process.stdout.write(`\n${bold(text)}\n`);
}

/** A claim that the demo makes; it must hold. */
function claim(text: string, holds: boolean): void {
  if (!holds) throw new Error(`this does not hold: ${text}`);
  process.stdout.write(`  ✓ ${text}\n`);
}

/** Whether a file of this name is anywhere below a directory of the stage. */
function has(stage: Stage, directory: string, name: string): boolean {
  return readdirSync(stage.path(directory), { recursive: true }).some((path) => String(path).split('/').at(-1) === name);
}

async function showImage(stage: Stage): Promise<void> {
  heading("An image: Debian's busybox as a docker-save archive, loaded");
  makeBusyboxArchive(stage.path('busybox.tar'));
  await stage.show('lamina', 'image', 'load', '-i', 'busybox.tar');
  claim('it is listed', (await stage.show('lamina', 'image', 'ls')).includes('lamina-demo'));
}

async function mountRoot(stage: Stage): Promise<void> {
  heading('A container root, with a rw volume, a ro volume and a single file of the host');
  for (const name of ['site', 'config', 'root', 'upper', 'work']) mkdirSync(stage.path(name));
  writeFileSync(stage.path('config/settings'), 'settings of the host\n');
  writeFileSync(stage.path('motd'), 'a file of the host\n');
  const volumes = ['-v', './site:/srv/site', '-v', './config:/etc/app:ro', '-v', './motd:/etc/motd'];
  await stage.show('lamina', 'mount', '--upper', 'upper', '--work', 'work', ...volumes, 'lamina-demo', 'root');
  claim('it is listed', (await stage.show('lamina', 'ls')).includes('/srv/site'));
}

async function useRoot(stage: Stage): Promise<void> {
  const root = await InRoot.open(stage, 'root');
  heading(`Commands in the root, by ${root.runner}`);
  const text = (name: string): string => readFileSync(stage.path(name), 'utf8');

  await root.show('echo written in the root > /root.txt');
  claim('a write in the root is in upper', text('upper/root.txt') === 'written in the root\n');

  await root.show('echo written in the volume > /srv/site/index.html');
  claim('a write in a volume is in its directory on the host', text('site/index.html') === 'written in the volume\n');
  claim('and in no layer', !has(stage, 'upper', 'index.html') && !has(stage, 'data', 'index.html'));

  await root.show('cat /etc/motd; echo changed in the root >> /etc/motd');
  claim("a single file is the host's", text('motd') === 'a file of the host\nchanged in the root\n');

  const refused = await root.try('cat /etc/app/settings; echo no > /etc/app/settings');
  claim('ro refuses', refused.code !== 0 && /read-only file system/i.test(refused.output));
  claim('and nothing has changed', text('config/settings') === 'settings of the host\n');

  stage.say("  $ echo news > site/news    # on the host, while it's mounted");
  writeFileSync(stage.path('site/news'), 'news\n');
  claim('what the host writes is seen at once', (await root.show('cat /srv/site/news')).includes('news'));

  await root.show('rm /bin/vi; ls /bin/vi || true');
  const mark = statSync(stage.path('upper/bin/vi'));
  claim('a deleted file of the image is a whiteout in upper', mark.isCharacterDevice() && mark.rdev === 0);
  claim('and the image still has it', has(stage, 'data', 'vi'));

  await stage.show('lamina', 'umount', 'root');
  claim('it is unmounted', readdirSync(stage.path('root')).length === 0 && existsSync(stage.path('upper/root.txt')));
}

async function main(): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('run it as root (without root, `lamina mount` works too: see README.md)');
  const started = Date.now();
  const stage = new Stage();
  stage.say(`${bold('lamina')} in ${stage.dir}`);
  await showImage(stage);
  await mountRoot(stage);
  await useRoot(stage);
  heading('What bypassing the union buys');
  await compareTiers(stage);
  stage.clear();
  heading('The end');
  claim('no mount, no process, no file is left', stage.left().length === 0);
  process.stdout.write(`\n${((Date.now() - started) / 1000).toFixed(1)} s. Next: bin/lamina --help, README.md\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`\nnpm start: ${(error as Error).message}\n`);
  process.exitCode = 1;
});
