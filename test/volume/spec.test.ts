// The grammars of -v and --mount: what is understood, and the words for what is not.

import { existsSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openSource } from '../../src/volume/backing.js';
import { parseMount } from '../../src/volume/mount-flag.js';
import { VolumeSpecError, combineVolumes, parseVolume, type VolumeSpec } from '../../src/volume/spec.js';
import { scratchDir } from '../support/paths.js';

const CWD = '/work dir';

/** KIND SOURCE DESTINATION and what is set beyond the defaults of that kind. */
function show(spec: VolumeSpec): string {
  const { kind, source = '-', destination, readOnly, nocopy, create, propagation } = spec;
  const flags = [readOnly && 'ro', nocopy && 'nocopy', create && 'create', propagation].filter((flag) => flag);
  return [kind, source, destination, ...flags].join(' ');
}

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return error instanceof VolumeSpecError ? error.message : `not a VolumeSpecError: ${String(error)}`;
  }
  return 'no error';
}

const understood: readonly (readonly [text: string, shown: string])[] = [
  ['/c', 'anonymous - /c'],
  ['/c/', 'anonymous - /c'],
  ['/a//b/./../c', 'anonymous - /a/c'],
  ['/x', 'anonymous - /x'],
  ['name:/c', 'named name /c'],
  ['name:/c/d:ro', 'named name /c/d ro'],
  ['n4m_e.-:/c:nocopy,ro', 'named n4m_e.- /c ro nocopy'],
  ['name:/c:Z,rw', 'named name /c'],
  ['/src:/c', 'bind /src /c create'],
  ['/src:/c:rw', 'bind /src /c create'],
  ['/src/../b:/c:ro,z,rslave,cached', 'bind /b /c ro create rslave'],
  ['/:/host', 'bind / /host create'],
  ['.:/c', 'bind /work dir /c create'],
  ['./x:/c', 'bind /work dir/x /c create'],
  ['../x:/c:ro', 'bind /x /c ro create'],
  ['/a\\:b:/c', 'bind /a:b /c create'],
  ['/a\\,b:/c:ro', 'bind /a,b /c ro create'],
  ['/a,b:/c', 'bind /a,b /c create'],
  ['/a b:/c d', 'bind /a b /c d create'],
  ['/\u00e9:/\u4e2d', 'bind /\u00e9 /\u4e2d create'],
];
for (const [text, shown] of understood) {
  void t.test(`-v ${text} is ${shown}`, (test) => {
    test.equal(show(parseVolume(text, CWD)), shown);
    test.end();
  });
}

const invalid = (text: string, why?: string): readonly [string, string] => [
  text,
  `invalid volume specification: '${text}'${why === undefined ? '' : `: ${why}`}`,
];
const notAbsolute = (type: string, path: string): string =>
  `invalid mount config for type "${type}": invalid mount path: '${path}' mount path must be absolute`;
const isRoot = (type: string): string =>
  `invalid mount config for type "${type}": invalid specification: destination can't be '/'`;
const badName = (name: string): string =>
  `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`;

const refused: readonly (readonly [text: string, message: string])[] = [
  ['', 'invalid empty volume spec'],
  invalid(':'),
  invalid('::'),
  invalid('a:'),
  invalid(':a'),
  ['/a:', 'invalid spec: /a:: empty section between colons'],
  [':/test', 'invalid spec: :/test: empty section between colons'],
  [':::', 'invalid spec: :::: empty section between colons'],
  ['/tmp:::', 'invalid spec: /tmp:::: empty section between colons'],
  ['/a::/b', 'invalid spec: /a::/b: empty section between colons'],
  ['/a:/b:ro:x', 'invalid spec: /a:/b:ro:x: too many colons'],
  ['/a:/b:ro:', 'invalid spec: /a:/b:ro:: too many colons'],
  invalid('/path:rw'),
  invalid('/path:ro'),
  invalid('path:nocopy'),
  ['/a:/b:sw', 'invalid mode: sw'],
  ['/a:/b:rwz', 'invalid mode: rwz'],
  ['/a:/b:readonly', 'invalid mode: readonly'],
  ['/a:/b:ro,rw', 'invalid mode: ro,rw'],
  ['/a:/b:z,Z', 'invalid mode: z,Z'],
  ['/a:/b:shared,rshared', 'invalid mode: shared,rshared'],
  ['/a:/b:ro,', 'invalid mode: ro,'],
  invalid('./', notAbsolute('volume', './')),
  invalid('path', notAbsolute('volume', 'path')),
  invalid('/tmp:tmp', notAbsolute('bind', 'tmp')),
  invalid('name:rel/x', notAbsolute('volume', 'rel/x')),
  invalid('/', isRoot('volume')),
  invalid('/..', isRoot('volume')),
  invalid('/src:/', isRoot('bind')),
  invalid('name:/a/..', isRoot('volume')),
  invalid('name:/c:rshared', 'invalid mount config for type "volume": field BindOptions must not be specified'),
  invalid('/src:/c:nocopy', 'invalid mount config for type "bind": field VolumeOptions must not be specified'),
  ['src/webapp:/c', badName('src/webapp')],
  ['~/x:/c', badName('~/x')],
  ['-x:/c', badName('-x')],
  ['x:/c', 'create x: volume name is too short, names should be at least two alphanumeric characters'],
  [`${'n'.repeat(256)}:/c`, `create ${'n'.repeat(256)}: file name too long: at most 255 characters`],
];
for (const [text, message] of refused) {
  void t.test(`-v ${text.slice(0, 40) || '(empty)'} is refused`, (test) => {
    test.equal(
      messageOf(() => parseVolume(text, CWD)),
      message,
    );
    test.end();
  });
}

const mounts: readonly (readonly [text: string, shown: string])[] = [
  ['type=bind,source=/a,target=/c', 'bind /a /c'],
  ['type=bind,src=./a,dst=/c/,readonly', 'bind /work dir/a /c ro'],
  ['type=bind,src=/a,destination=/c,ro=true,bind-propagation=rslave', 'bind /a /c ro rslave'],
  ['type=bind,src=/a,dst=/c,ro=false,bind-create-src', 'bind /a /c create'],
  ['type=volume,source=name,target=/c,volume-nocopy', 'named name /c nocopy'],
  ['source=name,target=/c,readonly=1', 'named name /c ro'],
  ['target=/c', 'anonymous - /c'],
  ['TYPE=Bind,Source=/A,TARGET=/C', 'bind /A /C'],
  ['type=bind,"source=/a,b",target=/c', 'bind /a,b /c'],
  ['type=bind,"source=/a""b",target=/c:d', 'bind /a"b /c:d'],
  ['type=bind,src=/a=b,dst=/c,consistency=cached', 'bind /a=b /c'],
];
for (const [text, shown] of mounts) {
  void t.test(`--mount ${text} is ${shown}`, (test) => {
    test.equal(show(parseMount(text, CWD)), shown);
    test.end();
  });
}

const flag = (text: string, why: string): readonly [string, string] => [
  text,
  `invalid argument "${text}" for "--mount" flag: ${why}`,
];
const refusedMounts: readonly (readonly [text: string, message: string])[] = [
  flag('', 'value is empty'),
  flag('type', `invalid field 'type' must be a key=value pair`),
  flag('type=', `invalid value for 'type': value is empty`),
  flag('=x', `invalid field '=x' must be a key=value pair`),
  flag('type=bind,foo=1', `unknown option 'foo' in 'foo=1'`),
  flag(
    'ro=x,dst=/c',
    `invalid value for 'ro': invalid boolean value ("x"): must be one of "true", "1", "false", or "0" (default "true")`,
  ),
  flag('type=volume,src=name,dst=/c,bind-propagation=shared', `cannot mix 'bind-*' options with mount type 'volume'`),
  flag('type=bind,src=/a,dst=/c,volume-nocopy', `cannot mix 'volume-*' options with mount type 'bind'`),
  flag('type=tmpfs,dst=/c', 'mount type "tmpfs" is not supported: use "bind" or "volume"'),
  flag('src=name,dst=/c,volume-subpath=x', `option 'volume-subpath' is not supported: leave it out`),
  flag('"src=a,dst=/c', 'parse error on line 1, column 14: extraneous or missing " in quoted-field'),
  flag('src=a"b,dst=/c', 'parse error on line 1, column 6: bare " in non-quoted-field'),
  ['type=bind,src=/a', 'invalid mount config for type "bind": field Target must not be empty'],
  ['type=bind,dst=/c', 'invalid mount config for type "bind": field Source must not be empty'],
  ['type=bind,src=a,dst=/c', notAbsolute('bind', 'a')],
  ['type=bind,src=/a,dst=c', notAbsolute('bind', 'c')],
  ['type=bind,src=/a,dst=/', isRoot('bind')],
  ['type=bind,src=/a,dst=/c,bind-propagation=x', 'invalid mount config for type "bind": invalid propagation mode: x'],
  ['dst=/c,ro', 'invalid mount config for type "volume": must not set ReadOnly mode when using anonymous volumes'],
  ['src=a/b,dst=/c', badName('a/b')],
];
for (const [text, message] of refusedMounts) {
  void t.test(`--mount ${text || '(empty)'} is refused`, (test) => {
    test.equal(
      messageOf(() => parseMount(text, CWD)),
      message,
    );
    test.end();
  });
}

const parseVolumes = (texts: readonly string[], cwd: string): VolumeSpec[] =>
  combineVolumes(texts.map((text) => parseVolume(text, cwd)));

void t.test('volumes are mounted shallow first, else as given', (test) => {
  const all = parseVolumes(['one:/a/b/c', 'two:/z', 'two:/a/b', '/y', '/a/b/d'], CWD);
  test.same(
    all.map((spec) => spec.destination),
    ['/z', '/y', '/a/b', '/a/b/c', '/a/b/d'],
  );
  test.end();
});

void t.test('the same argument twice is one volume', (test) => {
  test.equal(parseVolumes(['one:/a:ro', 'one:/a:ro', '/b', '/b'], CWD).length, 2);
  test.end();
});

void t.test('an anonymous volume gives way to one with a source, in either order', (test) => {
  for (const texts of [
    ['/a', 'one:/a/'],
    ['one:/a/', '/a'],
  ]) {
    test.same(parseVolumes(texts, CWD).map(show), ['named one /a']);
  }
  test.end();
});

void t.test('two volumes on one destination are refused', (test) => {
  const message = 'Duplicate mount point: /a';
  test.equal(
    messageOf(() => parseVolumes(['one:/a', 'two:/a'], CWD)),
    message,
  );
  test.equal(
    messageOf(() => parseVolumes(['one:/a', 'one:/x/../a/:ro'], CWD)),
    message,
  );
  test.equal(
    messageOf(() => combineVolumes([parseVolume('one:/a', CWD), parseMount('src=one,dst=/a', CWD)])),
    message,
  );
  test.end();
});

void t.test('a missing bind source is made for -v and named for --mount', (test) => {
  const dir = scratchDir();
  test.teardown(() => rmSync(dir, { recursive: true }));
  const missing = join(dir, 'a', 'b');
  test.equal(
    messageOf(() => openSource(missing, false)),
    `invalid mount config for type "bind": bind source path does not exist: ${missing}`,
  );
  test.same(readdirSync(dir), []);
  test.equal(openSource(missing, true), missing);
  test.equal(statSync(missing).isDirectory(), true);
  test.end();
});

void t.test('a bind source that is there stays as it is, a file too', (test) => {
  const dir = scratchDir();
  test.teardown(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, 'file'), 'x');
  mkdirSync(join(dir, 'own'), { mode: 0o710 });
  test.equal(openSource(join(dir, 'file'), true), join(dir, 'file'));
  test.equal(statSync(join(dir, 'file')).size, 1);
  test.equal(openSource(join(dir, 'own'), true), join(dir, 'own'));
  test.equal(statSync(join(dir, 'own')).mode & 0o7777, 0o710);
  symlinkSync(join(dir, 'gone'), join(dir, 'link'));
  test.throws(() => openSource(join(dir, 'link'), true), /error while creating mount source path/);
  test.equal(existsSync(join(dir, 'gone')), false);
  test.throws(() => openSource(join(dir, 'file', 'x'), true), /error while creating mount source path/);
  test.end();
});
