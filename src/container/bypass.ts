// How a container's volumes reach it: bound by the runtime, unless `--storage-opt lamina.bypass=` asks for routes of its root.

import type { HostConfig } from '../store/index.js';
import type { Bypass } from '../transport/plan.js';
import { badParameter } from './errors.js';

/** How routes carry the bytes; undefined when the runtime binds the volumes. Errors: 400. */
export function bypassOf({ StorageOpt: options }: HostConfig): Bypass | undefined {
  const asked = options?.['lamina.bypass'];
  if (asked === undefined || asked === 'bind' || asked === 'auto') return undefined;
  if (asked === 'passthrough' || asked === 'relay') return asked;
  throw badParameter(`invalid storage option lamina.bypass=${asked}: one of auto, bind, passthrough, relay`);
}
