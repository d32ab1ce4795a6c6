// Keeps credentials where docker, podman and we look for them: in docker's config.json, or with the helper that it names.
// Called by `lamina login` and `logout`.

import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { JsonError, type JsonObject, object, parseJson } from '../json.js';
import { type Environment, callHelper, credentialFiles, helperFor, serverKey } from './credentials.js';
import { RegistryError } from './registry-error.js';

/** The file and what it says; the path is that of the file itself when a symlink leads there. */
function load(env: Environment): { path: string; config: JsonObject; auths: JsonObject } {
  const [named = ''] = credentialFiles(env);
  const path = existsSync(named) ? realpathSync(named) : named;
  try {
    const config = existsSync(path) ? object(parseJson(readFileSync(path, 'utf8').trim() || '{}'), 'it') : {};
    return { path, config, auths: object(config['auths'] ?? {}, 'auths') };
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new RegistryError('broken', `${path}: ${error.message}; correct it or remove it`, error);
  }
}

/** Whole or not at all, and for nobody else to read. */
function save(path: string, config: JsonObject): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const fresh = `${path}.${process.pid}`;
  try {
    writeFileSync(fresh, JSON.stringify(config, undefined, '\t'), { mode: 0o600, flag: 'wx' });
    renameSync(fresh, path);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  }
}

async function mustCall(helper: string, verb: 'store' | 'erase', input: string, env: Environment): Promise<void> {
  const { code, output } = await callHelper(helper, verb, input, env);
  if (code === 0 || (verb === 'erase' && /not found/i.test(output))) return;
  throw new RegistryError(
    'unauthorized',
    `error storing credentials - err: exit status ${code ?? 'unknown'}, out: \`${output}\` (docker-credential-${helper} ${verb})`,
  );
}

/**
 * Keeps them for the registry `domain`. Returns the file that now holds the secret in the clear; undefined when a helper has it.
 * Errors: RegistryError, those of the file system.
 */
export async function keepCredentials(
  domain: string,
  { username, password }: { readonly username: string; readonly password: string },
  env: Environment = process.env,
): Promise<string | undefined> {
  const { path, config, auths } = load(env);
  const helper = helperFor(config, domain);
  const server = serverKey(domain);
  if (helper !== undefined)
    await mustCall(helper, 'store', JSON.stringify({ ServerURL: server, Username: username, Secret: password }), env);
  const entry = helper === undefined ? { auth: Buffer.from(`${username}:${password}`).toString('base64') } : {};
  save(path, { ...config, auths: { ...auths, [server]: entry } });
  return helper === undefined ? path : undefined;
}

/** Forgets them. Errors: RegistryError, those of the file system. */
export async function forgetCredentials(domain: string, env: Environment = process.env): Promise<void> {
  const { path, config, auths } = load(env);
  const helper = helperFor(config, domain);
  const server = serverKey(domain);
  const names = [server, `http://${server}`, `https://${server}`];
  if (helper !== undefined) for (const name of names) await mustCall(helper, 'erase', name, env);
  const left = Object.fromEntries(Object.entries(auths).filter(([name]) => !names.includes(name)));
  if (existsSync(path)) save(path, { ...config, auths: left });
}
