// Whose certificate a registry may show, and which we show: the machine's authorities and what the user has put beside the
// registry's name, as Docker and podman read them. Node's own list is not asked: NODE_EXTRA_CA_CERTS would be read at the start
// of each of our processes (40 ms), so bin/ hands it on as LAMINA_EXTRA_CA_CERTS. Called by transport.ts.

import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type SecureContext, createSecureContext, rootCertificates } from 'node:tls';
import { LRUCache } from 'lru-cache';
import { RegistryError } from './registry-error.js';

type Environment = Readonly<Record<string, string | undefined>>;

export interface TrustSources {
  readonly env: Environment;
  /** Bundles of the machine's authorities; the first that exists counts. */
  readonly bundles: readonly string[];
  /** Each may have a directory HOST[:PORT] with *.crt (authorities), *.cert and *.key (what we show). */
  readonly directories: readonly string[];
}

export const MACHINE: TrustSources = {
  env: process.env,
  bundles: ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/ca-bundle.pem'],
  directories: ['/etc/docker/certs.d', '/etc/containers/certs.d'],
};

/** To take a bundle apart lasts 50 ms. By the files that it was made of, with their times. */
const contexts = new LRUCache<string, SecureContext>({ max: 16 });

interface Files {
  readonly authorities: readonly string[];
  readonly certificate?: string;
  readonly key?: string;
}

/** Whether `path` exists; a time and a size that change with it. */
function stamp(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found && `${path} ${found.mtimeMs} ${found.size}`;
}

/** Docker takes the pair whose name comes last. Errors: RegistryError. */
function filesOf(directory: string): Files {
  let names: string[];
  try {
    names = readdirSync(directory).sort();
  } catch {
    return { authorities: [] };
  }
  const path = (name: string): string => join(directory, name);
  const pairs = names.filter((name) => name.endsWith('.cert')).map((name) => [name, `${name.slice(0, -5)}.key`] as const);
  for (const [certificate, key] of pairs) {
    if (names.includes(key)) continue;
    const rule = 'CA certificates must use the extension .crt';
    throw new RegistryError('broken', `missing key ${key} for client certificate ${certificate} in ${directory}. ${rule}`);
  }
  const pair = pairs.at(-1);
  return {
    authorities: names.filter((name) => name.endsWith('.crt')).map(path),
    ...(pair && { certificate: path(pair[0]), key: path(pair[1]) }),
  };
}

function read(paths: readonly string[]): Buffer[] {
  return paths.map((path) => readFileSync(path));
}

/**
 * What TLS with `host` (HOST[:PORT], as in references) begins with. The machine's authorities are left out unless `verify`.
 * Errors: RegistryError, naming the file.
 */
export function trustFor(host: string, verify: boolean, { env, bundles, directories }: TrustSources = MACHINE): SecureContext {
  const own = directories.map((directory) => filesOf(join(directory, host)));
  const bundle = env['SSL_CERT_FILE'] || bundles.find((path) => stamp(path) !== undefined);
  const extra = env['LAMINA_EXTRA_CA_CERTS'];
  const shared = [...(bundle ? [bundle] : []), ...(extra ? [extra] : [])].filter((path) => stamp(path) !== undefined);
  const authorities = [...(verify ? shared : []), ...own.flatMap((each) => each.authorities)];
  const shown = own.find((each) => each.certificate !== undefined);
  const files = [...authorities, ...(shown ? [shown.certificate ?? '', shown.key ?? ''] : [])];
  const key = [String(verify), ...files.map(stamp)].join('\n');
  const known = contexts.get(key);
  if (known) return known;
  try {
    const context = createSecureContext({
      ca: [...(verify && !bundle ? rootCertificates : []), ...read(authorities)],
      ...(shown && { cert: read([shown.certificate ?? '']), key: read([shown.key ?? '']) }),
    });
    contexts.set(key, context);
    return context;
  } catch (error) {
    const named = files.length === 0 ? 'certificates' : `one of the certificates ${files.join(', ')}`;
    throw new RegistryError('broken', `${host}: ${named} cannot be used: ${(error as Error).message}`, error);
  }
}
