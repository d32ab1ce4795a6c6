// Which certificates of registries are trusted, and which are shown to them.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { Transport } from '../../src/image/registry/transport.js';
import { type TrustSources, trustFor } from '../../src/image/registry/trust.js';
import { mustCommand } from '../support/command.js';
import { type Test, directory } from './registry-rig.js';

const UNKNOWN = 'SELF_SIGNED_CERT_IN_CHAIN';

/** An authority, and a pair that it signed for the loopback. */
async function authority(dir: string): Promise<void> {
  const openssl = (...args: readonly string[]): Promise<unknown> => mustCommand(['openssl', ...args], { cwd: dir });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-subj',
    '/CN=lamina test authority',
    '-days',
    '2',
  );
  await openssl('req', ...key, '-keyout', 'pair.key', '-out', 'pair.csr', '-subj', '/CN=127.0.0.1');
  writeFileSync(join(dir, 'san'), 'subjectAltName=IP:127.0.0.1');
  const signed = ['-in', 'pair.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'san', '-days', '2'];
  await openssl('x509', '-req', ...signed, '-out', 'pair.pem');
}

interface Rig {
  readonly dir: string;
  readonly host: string;
  readonly sources: TrustSources;
  /** The directory of the host's own certificates, made. */
  own(): string;
  /** The status of a GET, or the code of the error. */
  get(verify?: boolean): Promise<unknown>;
}

/** A server whose certificate no machine trusts; it answers 200 to whom its authority has certified, else 204. */
async function rig(t: Test): Promise<Rig> {
  const dir = directory(t);
  await authority(dir);
  const file = (name: string): Buffer => readFileSync(join(dir, name));
  const tls = { key: file('pair.key'), cert: file('pair.pem'), ca: file('ca.pem'), requestCert: true, rejectUnauthorized: false };
  const server = createServer(tls, ({ socket }, answer) => {
    answer.writeHead('authorized' in socket && socket.authorized === true ? 200 : 204).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const env: Record<string, string> = {};
  const sources = { env, bundles: [join(dir, 'bundle.pem')], directories: [join(dir, 'none'), join(dir, 'certs.d')] };
  return {
    dir,
    host,
    sources,
    own: () => {
      const own = join(dir, 'certs.d', host);
      mkdirSync(own, { recursive: true });
      return own;
    },
    get: async (verify = true) => {
      const transport = new Transport(verify, 5000, sources);
      try {
        const reply = await transport.send(new URL(`https://${host}/`), { method: 'GET' });
        reply.body.resume();
        return reply.status;
      } catch (error) {
        return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
      } finally {
        transport.close();
      }
    },
  };
}

void t.test('an authority that nobody knows is refused, and is trusted from each place that names it', async (t) => {
  const { dir, sources, own, get } = await rig(t);
  const env = sources.env as Record<string, string>;
  const pem = readFileSync(join(dir, 'ca.pem'));
  t.equal(await get(), UNKNOWN, 'nowhere');
  t.equal(await get(false), 204, 'unchecked');

  writeFileSync(join(dir, 'bundle.pem'), pem);
  t.equal(await get(), 204, "the machine's bundle");
  env['SSL_CERT_FILE'] = join(dir, 'absent');
  t.equal(await get(), UNKNOWN, 'SSL_CERT_FILE in its place, absent');
  env['LAMINA_EXTRA_CA_CERTS'] = join(dir, 'ca.pem');
  t.equal(await get(), 204, 'LAMINA_EXTRA_CA_CERTS beside it');
  delete env['LAMINA_EXTRA_CA_CERTS'];
  writeFileSync(join(own(), 'authority.crt'), pem);
  t.equal(await get(), 204, "the host's own directory");
});

void t.test('a pair of the host is shown to it', async (t) => {
  const { dir, own, get } = await rig(t);
  writeFileSync(join(own(), 'ca.crt'), readFileSync(join(dir, 'ca.pem')));
  t.equal(await get(), 204);
  writeFileSync(join(own(), 'client.cert'), readFileSync(join(dir, 'pair.pem')));
  t.match(await get(), /missing key client\.key for client certificate client\.cert in .*must use the extension \.crt/);
  writeFileSync(join(own(), 'client.key'), readFileSync(join(dir, 'pair.key')));
  t.equal(await get(), 200);
});

void t.test('a file that is no certificate is named', async (t) => {
  const { host, own, get } = await rig(t);
  writeFileSync(join(own(), 'ca.crt'), 'not a certificate');
  t.equal(await get(), UNKNOWN, 'an authority is passed over, as by Docker');
  writeFileSync(join(own(), 'a.cert'), 'no');
  writeFileSync(join(own(), 'a.key'), 'no');
  t.match(await get(), new RegExp(`${host}: one of the certificates .*certs\\.d/${host}/a\\.cert.* cannot be used: `));
});

void t.test('what was read is kept until a file changes', async (t) => {
  const { dir, host, sources } = await rig(t);
  writeFileSync(join(dir, 'bundle.pem'), readFileSync(join(dir, 'ca.pem')));
  const first = trustFor(host, true, sources);
  t.equal(trustFor(host, true, sources), first);
  writeFileSync(join(dir, 'bundle.pem'), `${readFileSync(join(dir, 'ca.pem'), 'utf8')}\n# changed\n`);
  t.not(trustFor(host, true, sources), first);
});
