// Random stacks of layers for the oracle's cases. Called by the mixes beside it.

import { dir, file, link as hard, merge, opaque, socket, symlink as sym, whiteout } from '../../support/tree.js';
import type { Entry, Layer, Node, Stack } from '../../support/tree.js';
import type { Random } from './random.js';

export const names = ['a', 'b', 'c', 'd', 'e\xff'] as const;
/** Who else than root does something; the first group of one is the other's second. */
export const users = [
  [1000, 1000],
  [5, 7, 1000],
] as const;
const modes = [0o666, 0o644, 0o600, 0o755, 0o4755, 0o2711] as const;

function leaf(random: Random, mark: string): Entry {
  const roll = random.below(10);
  if (roll === 0) return sym(random.pick(['a', 'b/c', '../a', 'nowhere']));
  // No fifo: a write through one sets its mtime on a plain directory and not on overlayfs.
  if (roll === 1) return socket({ mode: 0o640 });
  return file(`${mark}:${random.below(1000)}`, {
    mode: random.pick(modes),
    ...(random.chance(0.3) ? { uid: random.pick(users)[0], gid: random.pick(users)[1] } : {}),
    ...(random.chance(0.3) ? { xattrs: { 'user.x': mark } } : {}),
  });
}

/**
 * One directory of a layer. Whiteouts are put only where a directory of a layer below is merged in: elsewhere the
 * kernel lists them, which is its own affair (see cases/layers.ts).
 */
function fillDir(
  random: Random,
  out: Record<string, Entry>,
  path: string,
  depth: number,
  mark: string,
  below: Node | undefined,
): void {
  const merged = below?.entry.type === 'dir' ? below : undefined;
  for (const name of names) {
    const at = path === '' ? name : `${path}/${name}`;
    const under = merged?.children.get(name);
    const roll = random.below(100);
    if (roll < 35) continue;
    if (roll < 45) {
      if (under) out[at] = whiteout();
    } else if (roll < 75 && depth < 3) {
      const cuts = random.chance(0.15);
      out[at] = cuts ? opaque() : dir({ mode: random.pick([0o755, 0o700, 0o777, 0o1777, 0o2777]) });
      fillDir(random, out, at, depth + 1, mark, cuts ? undefined : under);
    } else {
      const files = Object.keys(out).filter((each) => out[each]?.type === 'file');
      out[at] = files.length > 0 && random.chance(0.1) ? hard(random.pick(files)) : leaf(random, mark);
    }
  }
}

/** One to four lowers and, mostly, a filled upper. */
export function randomStack(random: Random): Stack {
  const layers: Layer[] = [];
  const count = 2 + random.below(4);
  for (let i = 0; i < count; i++) {
    const below = layers.length === 0 ? undefined : merge({ lower: layers });
    const layer: Record<string, Entry> = {};
    fillDir(random, layer, '', 1, `layer${i}`, below);
    layers.unshift(layer);
  }
  const [upper, ...lower] = layers;
  return random.chance(0.7) ? { upper, lower } : { lower: layers };
}
