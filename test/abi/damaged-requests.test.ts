// Requests that end too early, and the extension with the caller's groups: nothing is read from beyond a request.

import t from 'tap';
import { Opcode } from '../../src/abi/protocol.js';
import { readCreation, readRenaming } from '../../src/abi/requests.js';
import { type Request, bytes, request } from './wire-bytes.js';

const creations: readonly (readonly [keyof typeof Opcode, Buffer])[] = [
  ['MKDIR', bytes('ed010000', '12000000', "'dir'", '00')],
  ['MKNOD', bytes('b6210000', '03010000', '12000000', '00000000', "'dev'", '00')],
  ['CREATE', bytes('42000000', 'a4810000', '12000000', '00000000', "'file'", '00')],
  ['SYMLINK', bytes("'link'", '00', "'target'", '00')],
];

for (const [name, body] of creations) {
  void t.test(`${name}: cut off anywhere, it names nothing`, async (t) => {
    const whole = request(body);
    const complete = readCreation(whole.reader, Opcode[name], whole.length);
    t.ok(complete?.name, 'the whole request does');
    for (let length = 0; length < body.length; length++) {
      const cut = request(body.subarray(0, length));
      const what = readCreation(cut.reader, Opcode[name], cut.length);
      // A symlink without its target names the link, and no target.
      const missing = name === 'SYMLINK' && length > 4 ? what?.target : what?.name;
      if (missing !== '') t.fail(`${length} bytes: ${JSON.stringify(what)}`);
    }
  });
}

void t.test('RENAME2: cut off anywhere, one of its names is missing', async (t) => {
  const body = bytes('0500000000000000', '01000000', '00000000', "'old'", '00', "'new'", '00');
  const whole = request(body);
  t.same(readRenaming(whole.reader, Opcode.RENAME2, whole.length), { newParent: 5, oldName: 'old', newName: 'new', flags: 1 });
  for (let length = 0; length < body.length; length++) {
    const cut = request(body.subarray(0, length));
    const args = readRenaming(cut.reader, Opcode.RENAME2, cut.length);
    if (args.oldName !== '' && args.newName !== '') t.fail(`${length} bytes: ${JSON.stringify(args)}`);
  }
});

/** A MKDIR by gid 1001 with these extensions, whose length the header gives in units of 8 bytes. */
function withExtension(units: string, ...extension: readonly string[]): Request {
  const header = bytes('00000000', '09000000', '00'.repeat(16), 'e8030000', 'e9030000', '01000000', units, '0000');
  const mkdir = bytes('ed010000', '12000000', "'dir'", '00', '00000000');
  return request(Buffer.concat([mkdir, bytes(...extension)]), header);
}

const GID = 1001;
const groups = [
  '10000000', // size 16
  '20000000', // type FUSE_EXT_GROUPS
  '01000000', // nr_groups
  'd2040000', // group 1234
];
const security = [
  '18000000', // size 24
  '01000000', // type FUSE_MAX_NR_SECCTX
  '11'.repeat(16),
];

void t.test('the directory group that the kernel names is the one to create with', async (t) => {
  const { reader, length } = withExtension('0200', ...groups);
  t.equal(reader.creationGroup(length), 1234);
  t.equal(readCreation(reader, Opcode.MKDIR, length)?.name, 'dir', 'and no part of the name');
});

void t.test('it is found behind another extension', async (t) => {
  const { reader, length } = withExtension('0500', ...security, ...groups);
  t.equal(reader.creationGroup(length), 1234);
});

void t.test("without it the caller's own group counts", async (t) => {
  const none = withExtension('0000');
  t.equal(none.reader.creationGroup(none.length), GID);
  const other = withExtension('0300', ...security);
  t.equal(other.reader.creationGroup(other.length), GID);
  const empty = withExtension('0200', '10000000', '20000000', '00000000', '00000000'); // no group in it
  t.equal(empty.reader.creationGroup(empty.length), GID);
  const unannounced = withExtension('0000', ...groups);
  t.equal(unannounced.reader.creationGroup(unannounced.length), GID);
});

void t.test('a damaged extension is none', async (t) => {
  const damaged: Readonly<Record<string, Request>> = {
    'longer than the request': withExtension('ffff', ...groups),
    'reaching into the header': withExtension('0800', ...groups),
    'with a record of no length': withExtension('0200', '00000000', '20000000', '01000000', 'd2040000'),
    'with a record past the end': withExtension('0200', '18000000', '20000000', '01000000', 'd2040000'),
    'with a record too short for a group': withExtension('0200', '08000000', '20000000', '01000000', 'd2040000'),
    'that is a head alone': withExtension('0100', '10000000', '20000000'),
  };
  for (const [what, { reader, length }] of Object.entries(damaged)) {
    t.doesNotThrow(() => reader.creationGroup(length), what);
    t.equal(reader.creationGroup(length), GID, what);
  }
});
