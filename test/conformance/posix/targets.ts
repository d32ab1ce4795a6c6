// Where the POSIX suite runs: ext4 and kernel overlayfs as the reference, and lamina as union, as union over a layer that
// has everything, and as volume in each tier. Called by posix.test.ts.

import { mkdirSync } from 'node:fs';
import { Rig, type Kind } from '../../support/mounts.js';
import { Root } from '../../support/roots.js';
import type { Target } from './run.js';

/** A mount of one kind; `lower` has what is given come from its lower layer. */
async function onRig(name: string, kind: Kind, lower: boolean): Promise<Target> {
  const rig = await Rig.build(kind, new Map([['.', { lower: [{}] }]]));
  return {
    name,
    below: lower ? rig.dirs.lower[0] : undefined,
    up: async () => {
      await rig.up();
      return rig.point;
    },
    down: () => rig.dispose(),
    has: (item) => !lower || (item.notFromLower ?? (kind === 'overlay' ? item.notFromOverlaysLower : undefined)) === undefined,
  };
}

/** With the bind tier the volume is the kernel's own: one behaviour in eight shows that it is there. */
const SPARSE = 8;

function onVolume(tier: string): Target {
  let asked = 0;
  const root = new Root();
  mkdirSync(root.path('vol'));
  return {
    name: `a volume, ${tier}`,
    up: async () => {
      await root.mount('-v', `${root.path('vol')}:/data`, '--bypass', tier);
      return `${root.target}/data`;
    },
    down: () => root.dispose(),
    has: () => tier !== 'bind' || asked++ % SPARSE === 0,
  };
}

/** Each makes its directories only when it is called. */
export const TARGETS: Readonly<Record<string, () => Promise<Target>>> = {
  ext4: () => onRig('ext4', 'plain', false),
  overlay: () => onRig('kernel overlayfs', 'overlay', false),
  'overlay-lower': () => onRig('kernel overlayfs, from a lower layer', 'overlay', true),
  union: () => onRig('a union', 'lamina', false),
  'union-lower': () => onRig('a union, from a lower layer', 'lamina', true),
  passthrough: () => Promise.resolve(onVolume('passthrough')),
  relay: () => Promise.resolve(onVolume('relay')),
  bind: () => Promise.resolve(onVolume('bind')),
};
