// Images that are made here, by commit, build and import, rather than loaded: layers that the store has, and a new one.

import type { Store } from '../store/index.js';
import { chainIds, sha256 } from './plan.js';
import { inStaging, Publication } from './publication.js';

/** What becomes of a new layer or config: made here, not loaded. */
export interface MadeImage {
  /** Layers below the new one, bottom first. */
  readonly parent: readonly { readonly diffId: string; readonly chainId: string }[];
  /** Directories of those layers, topmost first. */
  readonly lower: readonly string[];
  /** The new layer's plain tar; none for a change of the config alone. */
  readonly layer?: AsyncIterable<Buffer>;
  /** The config's text once the diffIDs are known. */
  readonly config: (diffIds: readonly string[], madeLayer: boolean) => string;
  /** Canonical names. */
  readonly names: readonly string[];
  /** Hex id of the image it was made from; '' for one that a build made from scratch. */
  readonly parentId?: string;
}

/**
 * Makes an image from layers of the store and at most one new one, and publishes it all or not at all.
 * Returns its id. Errors: those of `loadImage`.
 */
export function makeImage(store: Store, made: MadeImage): Promise<string> {
  return inStaging(store, 'the new image', async (staging) => {
    const publication = new Publication(store, staging);
    const diffIds = made.parent.map((layer) => layer.diffId);
    if (made.layer) diffIds.push(await publication.stage(made.layer, made.lower, 'the new layer'));
    const config = made.config(diffIds, made.layer !== undefined);
    const chains = chainIds(diffIds);
    const layers = diffIds.map((diffId, i) => ({
      diffId,
      chainId: chains[i] ?? '',
      piece: undefined,
      label: `layer ${diffId.slice(0, 12)}`,
    }));
    const id = sha256(config);
    const parent = made.parentId === undefined ? {} : { parent: made.parentId };
    await publication.run([{ id, config, layers, names: made.names, ...parent }]);
    return id;
  });
}
