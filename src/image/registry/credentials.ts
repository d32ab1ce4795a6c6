// Who we are to a registry: what `docker login`, `podman login` and credential helpers have kept. Called by cli/ and engine/.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { JsonError, object, optionalString, parseJson } from '../json.js';
import type { JsonObject } from '../json.js';
import { RegistryError } from './registry-error.js';

export type Credentials =
  | { readonly username: string; readonly password: string }
  /** A refresh token, for the token server. */
  | { readonly identityToken: string }
  /** A bearer token for the registry itself. */
  | { readonly registryToken: string };

export type Environment = Readonly<Record<string, string | undefined>>;

const HUB_KEY = 'https://index.docker.io/v1/';

/** What credentials for a registry are kept under. */
export function serverKey(domain: string): string {
  return domain === 'docker.io' ? HUB_KEY : domain;
}

/** In the order in which they are asked; what is new is kept in the first. */
export function credentialFiles(env: Environment): string[] {
  const home = env['HOME'] ?? homedir();
  const named = env['REGISTRY_AUTH_FILE'];
  if (named) return [named];
  const runtime = env['XDG_RUNTIME_DIR'];
  return [
    join(env['DOCKER_CONFIG'] ?? join(home, '.docker'), 'config.json'),
    ...(runtime ? [join(runtime, 'containers/auth.json')] : []),
    join(env['XDG_CONFIG_HOME'] ?? join(home, '.config'), 'containers/auth.json'),
  ];
}

/** As keys of `auths` are written: with a scheme, with a version, or bare; containers' files also name repositories. */
function keysFor(repository: string): string[] {
  const [domain = '', ...path] = repository.split('/');
  const named = path.map((_, i) => [domain, ...path.slice(0, path.length - i)].join('/'));
  const hosts = domain === 'docker.io' ? [HUB_KEY, 'docker.io', 'index.docker.io'] : [domain];
  return [
    ...named,
    ...hosts.flatMap((host) => [host, `https://${host}`, `http://${host}`, `https://${host}/v1/`, `https://${host}/v2/`]),
  ];
}

function fromEntry(entry: JsonObject): Credentials | undefined {
  const identityToken = optionalString(entry['identitytoken'], 'identitytoken');
  if (identityToken) return { identityToken };
  const registryToken = optionalString(entry['registrytoken'], 'registrytoken');
  if (registryToken) return { registryToken };
  const auth = optionalString(entry['auth'], 'auth');
  if (!auth) {
    const username = optionalString(entry['username'], 'username');
    return username ? { username, password: optionalString(entry['password'], 'password') ?? '' } : undefined;
  }
  const text = Buffer.from(auth, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 1) throw new JsonError('an "auth" is not base64 of user:password');
  return { username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, '') };
}

/** Runs `docker-credential-NAME VERB` with `input`. Errors: RegistryError when there is no such program. */
export async function callHelper(
  name: string,
  verb: 'get' | 'store' | 'erase',
  input: string,
  env: Environment,
): Promise<{ code: number | null; output: string }> {
  const program = `docker-credential-${name}`;
  const child = spawn(program, [verb], { stdio: ['pipe', 'pipe', 'ignore'], env });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  // A helper that does not read its input is no fault.
  child.stdin.on('error', () => undefined).end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', (error) =>
      reject(
        new RegistryError(
          'unauthorized',
          `cannot run ${program}, which keeps the credentials: ${error.message}; install it or log in again`,
          error,
        ),
      ),
    );
    child.once('close', resolve);
  });
  return { code, output: output.trim() };
}

/** What a helper has for `server`; undefined when that is nothing. */
async function askHelper(name: string, server: string, env: Environment): Promise<Credentials | undefined> {
  const program = `docker-credential-${name}`;
  const { code, output } = await callHelper(name, 'get', server, env);
  if (code !== 0) {
    if (/not found/i.test(output)) return undefined;
    throw new RegistryError('unauthorized', `${program} failed for ${server}: ${output || `status ${code ?? 'unknown'}`}`);
  }
  const fields = object(parseJson(output), `the answer of ${program}`);
  const username = optionalString(fields['Username'], 'Username') ?? '';
  const secret = optionalString(fields['Secret'], 'Secret') ?? '';
  return username === '<token>' ? { identityToken: secret } : { username, password: secret };
}

/** Who keeps the secrets of a registry, when it is not the file itself. Errors: JsonError. */
export function helperFor(config: JsonObject, domain: string): string | undefined {
  const helpers = object(config['credHelpers'] ?? {}, 'credHelpers');
  const own = optionalString(helpers[domain], 'a helper') ?? optionalString(helpers[serverKey(domain)], 'a helper');
  return own ?? optionalString(config['credsStore'], 'credsStore');
}

async function fromFile(path: string, repository: string, env: Environment): Promise<Credentials | undefined> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  try {
    const config = object(parseJson(text), 'it');
    const auths = object(config['auths'] ?? {}, 'auths');
    const [domain = ''] = repository.split('/');
    const helper = helperFor(config, domain);
    const found = helper ? await askHelper(helper, serverKey(domain), env) : undefined;
    if (found) return found;
    for (const key of keysFor(repository)) {
      const entry = auths[key] === undefined ? undefined : fromEntry(object(auths[key], key));
      if (entry) return entry;
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new RegistryError('unauthorized', `${path}: ${error.message}; correct it or log in again`, error);
  }
}

/**
 * The credentials kept for a canonical repository (`docker.io/library/busybox`); undefined when there are none.
 * Files: $REGISTRY_AUTH_FILE alone, or docker's config.json, then containers' auth.json. Errors: RegistryError.
 */
export async function findCredentials(repository: string, env: Environment = process.env): Promise<Credentials | undefined> {
  for (const path of credentialFiles(env)) {
    const found = await fromFile(path, repository, env);
    if (found) return found;
  }
  return undefined;
}
