// Where credentials are found: docker's and containers' files, helpers, refresh tokens.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { findCredentials } from '../../src/image/index.js';
import { parseChallenges } from '../../src/image/registry/authorization.js';
import { directory } from './registry-rig.js';
import { failure } from './store-rig.js';

const auth = (text: string): { auth: string } => ({ auth: Buffer.from(text).toString('base64') });

function home(t: { teardown(fn: () => unknown): unknown }, files: Readonly<Record<string, unknown>>): Record<string, string> {
  const dir = directory(t);
  for (const [name, value] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), typeof value === 'string' ? value : JSON.stringify(value), { mode: 0o700 });
  }
  return { HOME: dir, PATH: `${dir}/bin:/usr/bin:/bin` };
}

void t.test('docker first, then containers; the longest name there', async (t) => {
  const env = home(t, {
    '.docker/config.json': {
      auths: { 'https://index.docker.io/v1/': auth('hub:a:b'), 'reg.test': { identitytoken: 'refresh' } },
    },
    '.config/containers/auth.json': { auths: { 'pod.test/dir': auth('dir:x'), 'pod.test': auth('all:y') } },
  });
  t.same(await findCredentials('docker.io/library/busybox', env), { username: 'hub', password: 'a:b' });
  t.same(await findCredentials('reg.test/x', env), { identityToken: 'refresh' });
  t.same(await findCredentials('pod.test/dir/x', env), { username: 'dir', password: 'x' });
  t.same(await findCredentials('pod.test/x', env), { username: 'all', password: 'y' });
  t.equal(await findCredentials('other.test/x', env), undefined);
  t.equal(await findCredentials('reg.test/x', { ...env, REGISTRY_AUTH_FILE: join(env['HOME'] ?? '', 'none') }), undefined);
});

void t.test('credential helpers', async (t) => {
  const helper = `#!/bin/sh
read server
case $server in
  a.test) echo '{"ServerURL":"a.test","Username":"helped","Secret":"s"}' ;;
  b.test) echo '{"Username":"<token>","Secret":"t"}' ;;
  c.test) echo 'credentials not found in native keychain'; exit 1 ;;
  *) echo 'the keyring is locked'; exit 1 ;;
esac
`;
  const env = home(t, {
    'bin/docker-credential-box': helper,
    '.docker/config.json': { credsStore: 'box', credHelpers: { 'e.test': 'missing' }, auths: { 'c.test': auth('file:f') } },
  });
  t.same(await findCredentials('a.test/x', env), { username: 'helped', password: 's' });
  t.same(await findCredentials('b.test/x', env), { identityToken: 't' });
  t.same(await findCredentials('c.test/x', env), { username: 'file', password: 'f' });
  t.match(await failure(findCredentials('d.test/x', env)), /docker-credential-box failed for d.test: the keyring is locked/);
  t.match(
    await failure(findCredentials('e.test/x', env)),
    /cannot run docker-credential-missing, .*; install it or log in again/,
  );
});

void t.test('a file that is no JSON is named', async (t) => {
  const env = home(t, { '.docker/config.json': '{' });
  t.match(await failure(findCredentials('a.test/x', env)), /config.json: not JSON/);
});

void t.test('challenges', async (t) => {
  t.same(
    parseChallenges('Bearer realm="https://a.test/t?x=1,2",service="a \\"b\\"",scope="repository:x:pull,push", Basic realm=x'),
    [
      { scheme: 'bearer', parameters: { realm: 'https://a.test/t?x=1,2', service: 'a "b"', scope: 'repository:x:pull,push' } },
      { scheme: 'basic', parameters: { realm: 'x' } },
    ],
  );
});
