// The requests that TypeScript decodes, from literals of include/uapi/linux/fuse.h 7.45.

import t from 'tap';
import { Opcode } from '../../src/abi/protocol.js';
import { readCreation, readReaddir, readRenaming } from '../../src/abi/requests.js';
import { bytes, request } from './wire-bytes.js';

const header = bytes(
  '58000000', // len
  '09000000', // opcode
  '0100000000000000', // unique
  '0700000000000000', // nodeid
  'e8030000', // uid
  'e9030000', // gid
  '39300000', // pid
  '0000', // total_extlen
  '0000', // padding
);

void t.test('the caller is in the header', async (t) => {
  const { reader } = request(bytes("'x'", '00'), header);
  t.same(reader.caller(), { uid: 1000, gid: 1001, pid: 12345 });
});

void t.test('numbers are little endian and unsigned', async (t) => {
  const { reader } = request(bytes('ffffffff ffffff7f', '00000000 00000080', 'ffffffff ffff1f00'));
  t.equal(reader.u32(0), 0xffffffff);
  t.equal(reader.u64(0), 0x7fffffff_ffffffffn);
  t.equal(reader.u64(8), 1n << 63n);
  t.equal(reader.u53(16), Number.MAX_SAFE_INTEGER);
});

void t.test('MKDIR', async (t) => {
  const body = bytes(
    'ed090000', // mode 04755
    '12000000', // umask 022
    "'new dir'",
    '00',
  );
  const { reader, length } = request(body);
  t.same(readCreation(reader, Opcode.MKDIR, length), {
    name: 'new dir',
    mode: 0o044755,
    umask: 0o22,
    rdev: 0,
    target: '',
    flags: 0,
  });
});

void t.test('MKNOD', async (t) => {
  const body = bytes(
    'b6210000', // mode: character device 0666
    '03010000', // rdev 1:3
    '3f000000', // umask 077
    '00000000', // padding
    "'null'",
    '00',
  );
  const { reader, length } = request(body);
  t.same(readCreation(reader, Opcode.MKNOD, length), {
    name: 'null',
    mode: 0o020666,
    umask: 0o77,
    rdev: 0x103,
    target: '',
    flags: 0,
  });
});

void t.test('SYMLINK', async (t) => {
  const { reader, length } = request(bytes("'link'", '00', "'../a target'", '00'));
  t.same(readCreation(reader, Opcode.SYMLINK, length), {
    name: 'link',
    target: '../a target',
    mode: 0o120000,
    umask: 0,
    rdev: 0,
    flags: 0,
  });
});

void t.test('CREATE and TMPFILE', async (t) => {
  const body = bytes(
    'c2800000', // flags O_RDWR|O_CREAT|O_EXCL|O_LARGEFILE
    'a4810000', // mode: regular 0644
    '12000000', // umask 022
    '01000000', // open_flags FUSE_OPEN_KILL_SUIDGID
    "'file'",
    '00',
  );
  for (const opcode of [Opcode.CREATE, Opcode.TMPFILE]) {
    const { reader, length } = request(body);
    t.same(readCreation(reader, opcode, length), {
      name: 'file',
      mode: 0o100644,
      umask: 0o22,
      rdev: 0,
      target: '',
      flags: 0o100302,
    });
  }
});

void t.test('an opcode that creates nothing is no creation', async (t) => {
  const { reader, length } = request(bytes('00'.repeat(32)));
  t.equal(readCreation(reader, Opcode.LOOKUP, length), undefined);
});

void t.test('RENAME and RENAME2', async (t) => {
  const names = bytes("'old'", '00', "'newer'", '00');
  const newdir = '0500000001000000';
  const plain = request(Buffer.concat([bytes(newdir), names]));
  const expected = { newParent: 0x1_00000005, oldName: 'old', newName: 'newer', flags: 0 };
  t.same(readRenaming(plain.reader, Opcode.RENAME, plain.length), expected);
  const second = request(
    Buffer.concat([
      bytes(
        newdir,
        '02000000', // flags RENAME_EXCHANGE
        '00000000', // padding
      ),
      names,
    ]),
  );
  t.same(readRenaming(second.reader, Opcode.RENAME2, second.length), { ...expected, flags: 2 });
});

void t.test('READDIR', async (t) => {
  const body = bytes(
    '0900000000000000', // fh
    '0100000000000020', // offset
    '00100000', // size
    '00000000', // read_flags
    '0000000000000000', // lock_owner
    '00000000', // flags
    '00000000', // padding
  );
  const { reader } = request(body);
  t.same(readReaddir(reader), { offset: (1n << 61n) + 1n, size: 4096 });
});

void t.test('names are bytes', async (t) => {
  const raw = Buffer.from(Array.from({ length: 255 }, (_, i) => i + 1).filter((byte) => byte !== 0x2f));
  const { reader, length } = request(Buffer.concat([raw, bytes('00')]));
  t.equal(reader.name(0, length), raw.toString('latin1'));
  t.equal(reader.name(0, length).length, 254);
});

void t.test('what has no NUL before the end of the request is no name', async (t) => {
  const { reader, length } = request(bytes("'name'"));
  t.equal(reader.name(0, length), '');
  const exact = request(bytes("'name'", '00'));
  t.equal(exact.reader.name(0, exact.length), 'name');
  t.equal(exact.reader.name(0, exact.length - 1), '', 'the NUL itself is beyond the length');
  t.equal(exact.reader.name(4, exact.length), '', 'the empty name');
  t.equal(exact.reader.name(5, exact.length), '', 'an offset at the end');
  t.equal(exact.reader.name(500, exact.length), '', 'an offset beyond the end');
});
