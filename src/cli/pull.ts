// Pulling an image, with the progress that the engine reports.

import type { Client } from '../client/client.js';
import { showProgress, untilDone } from './progress-lines.js';

/** Splits NAME[:TAG]. */
export function splitTag(name: string): { repo: string; tag: string | undefined } {
  const colon = name.lastIndexOf(':');
  return colon > name.lastIndexOf('/')
    ? { repo: name.slice(0, colon), tag: name.slice(colon + 1) }
    : { repo: name, tag: undefined };
}

/** The name as it is looked for: `busybox` is `busybox:latest`. */
export function withTag(name: string): string {
  return name.includes('@') || splitTag(name).tag !== undefined ? name : `${name}:latest`;
}

/** Splits NAME[:TAG][@DIGEST] as the API wants it. */
function splitName(name: string): { fromImage: string; tag: string } {
  if (name.includes('@')) return { fromImage: name.slice(0, name.indexOf('@')), tag: name.slice(name.indexOf('@') + 1) };
  const { repo, tag = 'latest' } = splitTag(name);
  return { fromImage: repo, tag };
}

/** Errors: ApiError. */
export async function pullImage(client: Client, name: string, quiet: boolean, platform?: string): Promise<void> {
  // Loaded where a pull is wanted: `run` finds most images here, and should start quickly.
  const { registryHeaders } = await import('./registry-headers.js');
  const headers = await registryHeaders(name);
  const lines = client.lines('POST', '/images/create', { query: { ...splitName(name), platform }, headers });
  if (!quiet) return showProgress(lines, process.stderr);
  await untilDone(lines);
}
