// The only loader of the addon. It looks for the build beside the checkout or the installed package; LAMINA_ADDON names
// another build of it, as tests under a sanitizer do (bin/test-sanitize).

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { LoopHandler, NativeLoop, NativeMount } from './mount.js';
import type { Syscalls } from './syscalls.js';

/** The addon is missing: it was not built, or was built for another machine. */
export class AddonMissing extends Error {
  override readonly name = 'AddonMissing';
}

function packageRoot(): string {
  let dir = __dirname;
  while (!existsSync(join(dir, 'binding.gyp'))) {
    const up = dirname(dir);
    if (up === dir) throw new AddonMissing(`no binding.gyp above ${__dirname}: the package is incomplete, install it again`);
    dir = up;
  }
  return dir;
}

/** The programs are built beside it. */
function addonFile(): string {
  return process.env['LAMINA_ADDON'] ?? join(packageRoot(), 'build', 'Release', 'lamina.node');
}

function loadAddon(): unknown {
  const file = addonFile();
  if (!existsSync(file)) {
    throw new AddonMissing(`the native addon is not built (no ${file}): run \`npm run build:native\``);
  }
  try {
    return require(file) as unknown;
  } catch (cause) {
    throw new AddonMissing(`the native addon does not load: ${(cause as Error).message}; run \`npm run build:native\``, {
      cause,
    });
  }
}

/** The program that `--init` puts before a container's command: the static one, which any root can run. */
export function initProgram(): string {
  return join(dirname(addonFile()), 'lamina-init');
}

/** Does something at a place inside a root that others may be changing; see native/within.cc. */
export function withinProgram(): string {
  return join(dirname(addonFile()), 'lamina-within');
}

/** Runs a program without our descriptors; see native/alone.cc. */
export function aloneProgram(): string {
  return join(dirname(addonFile()), 'lamina-alone');
}

interface Addon {
  sys: Syscalls;
  Mount: new (fdLimit: number) => NativeMount;
  Loop: new (handler: LoopHandler) => NativeLoop;
}

const addon = loadAddon() as Addon;

/** System calls on directory fds; see `Syscalls`. */
export const sys = addon.sys;

/** The native state of one mount; its argument bounds the fds kept open on layers. */
export const Mount = addon.Mount;

/** The serving loop of one worker. */
export const Loop = addon.Loop;
