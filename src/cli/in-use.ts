// Which mount uses a layer: what keeps an image from being removed.

import { readRecords } from '../transport/registry.js';

/** A sentence about the first mount that has one of the layer directories that would go, or undefined. */
export function layerUsers(_: readonly string[], own: readonly string[]): string | undefined {
  const wanted = new Set(own);
  const user = readRecords().find((record) => record.lowers.some((lower) => wanted.has(lower)));
  return user && `mounted on ${user.target}: run \`lamina umount ${user.target}\` first`;
}
