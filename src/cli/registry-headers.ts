// The credentials of who types, for requests that make the engine ask a registry: the engine may run as somebody else.

import { canonicalName, findCredentials, splitTag } from '../image/index.js';

/** `X-Registry-Auth`, when something is kept for the registry of `reference`. Errors: RegistryError. */
export async function registryHeaders(reference: string): Promise<Record<string, string>> {
  let repository: string;
  try {
    ({ repository } = splitTag(canonicalName(reference.split('@')[0] ?? '')));
  } catch {
    // What is wrong with the name is the engine's to say.
    return {};
  }
  const found = await findCredentials(repository);
  if (!found) return {};
  const auth =
    'username' in found
      ? found
      : 'identityToken' in found
        ? { identitytoken: found.identityToken }
        : { registrytoken: found.registryToken };
  return { 'X-Registry-Auth': Buffer.from(JSON.stringify(auth)).toString('base64url') };
}
