// The only loader of the addon. It looks for the build beside the checkout or the installed package.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
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

function loadAddon(): unknown {
  const file = join(packageRoot(), 'build', 'Release', 'lamina.node');
  if (!existsSync(file)) {
    throw new AddonMissing(`the native addon is not built (no ${file}): run \`npm run build:native\``);
  }
  try {
    return require(file) as unknown;
  } catch (cause) {
    throw new AddonMissing(`the native addon does not load: ${(cause as Error).message}; run \`npm run build:native\``, { cause });
  }
}

const addon = loadAddon();

/** System calls on directory fds; see `Syscalls`. */
export const sys = (addon as { sys: Syscalls }).sys;
