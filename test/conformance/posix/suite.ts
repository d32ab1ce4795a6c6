// All behaviours, by the calls they are about. Used by the tests beside this file.

import type { Behaviour } from './behaviour.js';
import { chmodBehaviours } from './chmod.js';
import { chownBehaviours } from './chown.js';
import { linkBehaviours } from './link.js';
import { makeBehaviours } from './make.js';
import { openBehaviours } from './open.js';
import { pathBehaviours } from './paths.js';
import { renameBehaviours } from './rename.js';
import { sizeBehaviours } from './sizes.js';
import { stickyBehaviours } from './sticky.js';
import { timeBehaviours } from './times.js';

export const SUITE: Readonly<Record<string, readonly Behaviour[]>> = {
  chmod: chmodBehaviours,
  chown: chownBehaviours,
  'truncate and fallocate': sizeBehaviours,
  utimensat: timeBehaviours,
  'mkdir, mknod, symlink, bind': makeBehaviours,
  open: openBehaviours,
  'link, unlink, rmdir': linkBehaviours,
  rename: renameBehaviours,
  'sticky directories': stickyBehaviours,
  paths: pathBehaviours,
};

const part = process.env['LAMINA_CASE'] ?? '';
const all = process.env['LAMINA_POSIX'] === 'all';

/** What this run is asked for. */
export const CHOSEN: readonly Behaviour[] = Object.values(SUITE)
  .flat()
  .filter((item) => item.name.includes(part) && (all || item.long !== true));
