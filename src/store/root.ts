// Where lamina keeps its data. Called by cli/ and engine/ before they open the store.

import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { isHostRoot } from '../native/host-root.js';

/**
 * The data root: `LAMINA_ROOT`, else /var/lib/lamina for root, else `$XDG_DATA_HOME/lamina` or ~/.local/share/lamina.
 * A relative `XDG_DATA_HOME` is ignored, as the XDG base directory specification asks.
 */
export function dataRoot(env: NodeJS.ProcessEnv = process.env, isRoot: boolean = isHostRoot()): string {
  const chosen = env['LAMINA_ROOT'];
  if (chosen) return resolve(chosen);
  if (isRoot) return '/var/lib/lamina';
  const data = env['XDG_DATA_HOME'];
  return join(data && isAbsolute(data) ? data : join(homedir(), '.local', 'share'), 'lamina');
}
