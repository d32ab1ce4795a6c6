// Whether a registry takes a name and a password. Called by the engine's POST /auth.

import { STATUS_CODES } from 'node:http';
import { type ClientOptions, RegistryClient } from './client.js';
import { RegistryError } from './registry-error.js';
import { discard } from './transport.js';

/** The registry that a server's address means: `host[:port]`, `docker.io` for none. Errors: RegistryError. */
export function registryOf(address: string): string {
  const host = address.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  if (host === '' || /^(index\.|registry-1\.)?docker\.io$/.test(host)) return 'docker.io';
  if (!URL.canParse(`https://${host}`) || new URL(`https://${host}`).hostname === '')
    throw new RegistryError('broken', `unable to parse server address: parse ${JSON.stringify(`https://${host}`)}`);
  return host;
}

/** Errors: RegistryError, `unauthorized` when the registry says no. */
export async function checkLogin(domain: string, options: ClientOptions): Promise<void> {
  const client = new RegistryClient(`${domain}/`, '', options);
  try {
    await client.open();
    const reply = await client.request('/v2/', { method: 'GET' });
    discard(reply);
    if (reply.status === 200) return;
    const status = `${reply.status} ${STATUS_CODES[reply.status] ?? ''}`.trim();
    const kind = reply.status === 401 || reply.status === 403 ? 'unauthorized' : 'broken';
    throw new RegistryError(kind, `login attempt to ${reply.url.href} failed with status: ${status}`);
  } finally {
    client.close();
  }
}
