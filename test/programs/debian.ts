// A Debian root for tests of real programs: made by debootstrap, then given packages by apt-get inside a lamina mount,
// whose upper becomes the second layer. Kept in a cache directory between runs.

import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { command, mustCommand } from '../support/command.js';
import type { Root } from '../support/roots.js';

export const CACHE = process.env['LAMINA_TEST_CACHE'] ?? '/var/cache/lamina-test';
const RELEASE = 'bookworm';
const LONG = { limitMs: 280_000 };

/** The packages layer is made with these. */
export const PACKAGES = ['gcc', 'libc6-dev', 'git', 'python3', 'sqlite3', 'postgresql', 'rsync', 'procps'];

/** Where this machine gets its own packages from; `LAMINA_TEST_MIRROR` names another. */
async function mirror(): Promise<string> {
  const chosen = process.env['LAMINA_TEST_MIRROR'];
  if (chosen !== undefined) return chosen;
  const known = (await mustCommand(['apt-get', 'indextargets', '--format', '$(REPO_URI)'])).split('\n');
  const found = known.find((uri) => uri !== '' && !uri.includes('security'));
  if (found === undefined) throw new Error('apt-get knows no package source: run apt-get update, or set LAMINA_TEST_MIRROR');
  return found;
}

/** The minbase tree, made now if it is not in the cache. Throws with debootstrap's complaint. */
export async function baseLayer(): Promise<string> {
  const base = join(CACHE, `${RELEASE}-minbase`);
  if (existsSync(base)) return base;
  mkdirSync(CACHE, { recursive: true });
  const making = `${base}.${process.pid}`;
  try {
    await mustCommand(['debootstrap', '--variant=minbase', RELEASE, making, await mirror()], LONG);
    renameSync(making, base);
  } catch (error) {
    rmSync(making, { recursive: true, force: true });
    throw error;
  }
  return base;
}

/** A shell script in the mounted root, with /proc and /dev; its output. Throws when it fails. */
export async function inRoot(root: Root, script: string): Promise<string> {
  const steps = `
    mount -t proc proc ${root.target}/proc; mount --rbind /dev ${root.target}/dev; mount --make-rprivate ${root.target}/dev
    exec chroot ${root.target} env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C bash -euc "$SCRIPT"`;
  // Namespaces of its own: what it mounts and what it starts goes with it.
  const done = await command(['unshare', '-m', '-p', '-f', '--kill-child', 'sh', '-euc', steps], {
    ...LONG,
    env: { SCRIPT: script },
  });
  if (done.code !== 0) throw new Error(`exit ${done.code}: ${done.stderr.slice(-2000)}${done.stdout.slice(-2000)}`);
  return done.stdout;
}

/** A shell script that installs packages in a root whose upper is writable. */
export const install = (...packages: string[]): string =>
  `apt-get update -qq && apt-get install -y -qq --no-install-recommends ${packages.join(' ')} </dev/null >/tmp/apt.log 2>&1 || { cat /tmp/apt.log >&2; exit 1; }
   apt-get clean; dpkg --audit`;
