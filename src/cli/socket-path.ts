// Where the engine's API listens.

import { join, resolve } from 'node:path';
import { runDirectory } from '../process/run-directory.js';

/** `LAMINA_SOCKET`, else in the data root when that was chosen, else where everyone looks. */
export function socketPath(env: NodeJS.ProcessEnv = process.env): string {
  if (env['LAMINA_SOCKET']) return resolve(env['LAMINA_SOCKET']);
  if (env['LAMINA_ROOT']) return join(resolve(env['LAMINA_ROOT']), 'lamina.sock');
  return join(runDirectory(), 'lamina.sock');
}
