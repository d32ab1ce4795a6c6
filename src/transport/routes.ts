// Routes of a mount: each destination is resolved inside the root, made when missing, and given to the native side.

import type { NativeMount } from '../native/mount.js';
import type { Union } from '../union/union.js';
import type { RoutePlan } from './plan.js';

export function addRoutes(native: NativeMount, union: Union, routes: readonly RoutePlan[]): void {
  for (const route of routes) throw new Error(`no routes yet: ${route.destination} ${union.writable} ${native.stats().nodes}`);
}
