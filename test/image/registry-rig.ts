// Debian's docker-registry on the loopback, with the authorization wanted, and the token server that it can be told to
// trust, for the tests of pull and push. All end with the test.

import { spawn } from 'node:child_process';
import { createSign } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { RequestListener } from 'node:http';
import { createServer as createTcp } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { mustCommand } from '../support/command.js';
import { scratchDir } from '../support/paths.js';
import { patient } from '../support/patience.js';
import { asTar, legacyArchive } from './archives.js';
import type { Source } from './archives.js';

export interface Test {
  teardown(fn: () => unknown): unknown;
}

export const USER = 'anna';
export const PASSWORD = 'secret';
/** bcrypt of `PASSWORD`. */
const HTPASSWD = `${USER}:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n`;
const LIMIT_MS = patient(15_000);

/** Serves on the loopback until the test ends; host:port. */
export async function serve(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function freePort(): Promise<number> {
  const server = createTcp();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function answers(host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request(`http://${host}/v2/`, (reply) => {
      reply.resume();
      resolve(true);
    });
    asked.on('error', () => resolve(false)).end();
  });
}

/** A directory that goes with the test. */
export function directory(t: Test): string {
  const dir = scratchDir();
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Starts docker-registry; `auth` is the object of its configuration. Returns host:port. */
export async function startRegistry(t: Test, auth?: object): Promise<string> {
  const dir = directory(t);
  mkdirSync(join(dir, 'data'));
  const host = `127.0.0.1:${await freePort()}`;
  const config = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(dir, 'data') }, delete: { enabled: true } },
    http: { addr: host, secret: 'test' },
    ...(auth ? { auth } : {}),
  };
  writeFileSync(join(dir, 'config.yml'), JSON.stringify(config));
  const child = spawn('docker-registry', ['serve', join(dir, 'config.yml')], { stdio: ['ignore', 'ignore', 'pipe'] });
  let complaint = '';
  child.stderr.on('data', (text: Buffer) => (complaint += text.toString('utf8')));
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  for (const end = Date.now() + LIMIT_MS; !(await answers(host));) {
    if (Date.now() > end || child.exitCode !== null) throw new Error(`docker-registry does not start: ${complaint}`);
    await wait(20);
  }
  return host;
}

export function htpasswd(t: Test): object {
  const path = join(directory(t), 'htpasswd');
  writeFileSync(path, HTPASSWD);
  return { htpasswd: { realm: 'test', path } };
}

/** What the token server was asked, and when it was. */
export interface TokenServer {
  /** For the configuration of docker-registry. */
  readonly auth: object;
  readonly asked: { readonly scope: string | null; readonly user: string | undefined }[];
}

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Grants everything to USER, and pulling of repositories below `open/` to everybody. */
export async function startTokenServer(t: Test): Promise<TokenServer> {
  const dir = directory(t);
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  await mustCommand([
    'openssl',
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    key,
    '-out',
    cert,
    '-subj',
    '/CN=test',
    '-days',
    '2',
  ]);
  const x5c = [readFileSync(cert, 'latin1').replace(/-----[^-]*-----|\s/g, '')];
  const asked: { scope: string | null; user: string | undefined }[] = [];
  const host = await serve(t, (incoming, reply) => {
    const { searchParams } = new URL(incoming.url ?? '', 'http://token');
    const [user, password] = Buffer.from(incoming.headers.authorization?.slice(6) ?? '', 'base64')
      .toString()
      .split(':');
    const scope = searchParams.get('scope');
    asked.push({ scope, user: user || undefined });
    if (user && (user !== USER || password !== PASSWORD)) {
      reply.writeHead(401).end('{}');
      return;
    }
    const [, name = '', actions = ''] = /^repository:(.*):([\w,]+)$/.exec(scope ?? '') ?? [];
    const granted = user ? actions.split(',') : name.startsWith('open/') ? ['pull'] : [];
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: 'test',
      sub: user ?? '',
      aud: 'registry',
      iat: now,
      nbf: now - 10,
      exp: now + 300,
      jti: `${asked.length}`,
    };
    const access = [{ type: 'repository', name, actions: granted }];
    const text = `${part({ typ: 'JWT', alg: 'RS256', x5c })}.${part({ ...claims, access })}`;
    const signature = createSign('RSA-SHA256').update(text).sign(readFileSync(key)).toString('base64url');
    reply
      .writeHead(200, { 'Content-Type': 'application/json' })
      .end(JSON.stringify({ token: `${text}.${signature}`, expires_in: 300 }));
  });
  return { asked, auth: { token: { realm: `http://${host}/token`, service: 'registry', issuer: 'test', rootcertbundle: cert } } };
}

/** Puts an image there with skopeo. */
export async function fill(t: Test, host: string, name: string, source: Source, flags: readonly string[] = []): Promise<void> {
  const path = join(directory(t), 'image.tar');
  writeFileSync(path, asTar(legacyArchive(source)));
  await mustCommand([
    'skopeo',
    'copy',
    '-q',
    '--dest-tls-verify=false',
    ...flags,
    `docker-archive:${path}`,
    `docker://${host}/${name}`,
  ]);
}
