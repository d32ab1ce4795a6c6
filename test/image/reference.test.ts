// Docker's grammar of image names: canonical and familiar forms, and what is refused.

import t from 'tap';
import { canonicalName, familiarName, parseReference } from '../../src/image/index.js';

const forms: readonly (readonly [given: string, canonical: string, familiar: string])[] = [
  ['busybox', 'docker.io/library/busybox:latest', 'busybox:latest'],
  ['busybox:1.36', 'docker.io/library/busybox:1.36', 'busybox:1.36'],
  ['docker.io/library/busybox:latest', 'docker.io/library/busybox:latest', 'busybox:latest'],
  ['docker.io/busybox', 'docker.io/library/busybox:latest', 'busybox:latest'],
  ['index.docker.io/busybox', 'docker.io/library/busybox:latest', 'busybox:latest'],
  ['library/busybox', 'docker.io/library/busybox:latest', 'busybox:latest'],
  ['user/app:v2', 'docker.io/user/app:v2', 'user/app:v2'],
  ['quay.io/a/b/c', 'quay.io/a/b/c:latest', 'quay.io/a/b/c:latest'],
  ['localhost/x', 'localhost/x:latest', 'localhost/x:latest'],
  ['localhost:5000/x:1', 'localhost:5000/x:1', 'localhost:5000/x:1'],
  ['Host/x', 'Host/x:latest', 'Host/x:latest'],
  ['a__b/c-d--e.f', 'docker.io/a__b/c-d--e.f:latest', 'a__b/c-d--e.f:latest'],
];

void t.test('forms', async (t) => {
  for (const [given, canonical, familiar] of forms) {
    t.equal(canonicalName(given), canonical, given);
    t.equal(familiarName(canonical), familiar, given);
    t.equal(canonicalName(familiar), canonical, `${given}: the familiar form leads back`);
  }
});

void t.test('digests', async (t) => {
  const hex = 'ab'.repeat(32);
  t.same(parseReference(`busybox:1@sha256:${hex}`), { repository: 'docker.io/library/busybox', tag: '1', digest: hex });
  t.same(parseReference(`busybox@sha256:${hex}`), { repository: 'docker.io/library/busybox', tag: undefined, digest: hex });
});

void t.test('what is refused', async (t) => {
  const bad = [
    '',
    ':',
    'a:',
    ':a',
    'a b',
    'a//b',
    '/a',
    'a/',
    'a..b',
    '-a',
    'a-',
    'a:-x',
    `a:${'x'.repeat(129)}`,
    'a@sha256:12',
    'a@md5:x',
    'a@b@c',
    '../a',
    'a/../b',
    'x'.repeat(300),
    'caf\u00e9',
    'a\n',
  ];
  for (const name of bad)
    t.throws(() => canonicalName(name), { name: 'InvalidReference', message: /invalid reference format/ }, JSON.stringify(name));
  t.throws(() => canonicalName('Foo'), { message: 'invalid reference format: repository name (library/Foo) must be lowercase' });
});
