// src/abi/protocol.ts and native/fuse_abi.h hold the same wire twice: here they are compared.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { INIT_OUT } from '../../src/abi/init.js';
import { ENTRY_OUT, FUSE_KERNEL_MINOR, FUSE_KERNEL_VERSION, IN_HEADER, OUT_HEADER, Opcode } from '../../src/abi/protocol.js';
import { NodeFlag } from '../../src/native/mount.js';
import { checkout } from '../support/paths.js';

const read = (name: string): string => readFileSync(join(checkout, 'native', name), 'utf8').replace(/\/\/.*$/gm, '');
const header = read('fuse_abi.h');

/** `kCopyFileRange64` and `COPY_FILE_RANGE_64` alike. */
const plain = (name: string): string => name.replace(/^k|_/g, '').toUpperCase();

/** The members of an enum with the text of their values. */
function enumMembers(text: string, name: string): Map<string, string> {
  const body = new RegExp(`enum ${name} : \\w+ \\{([^}]*)\\}`).exec(text)?.[1] ?? '';
  return new Map([...body.matchAll(/(k\w+)\s*=\s*([^,]+),/g)].map(([, member = '', value = '']) => [member, value.trim()]));
}

const widths: Readonly<Record<string, number>> = { uint64_t: 8, int64_t: 8, uint32_t: 4, int32_t: 4, uint16_t: 2 };

/** Bytes of every structure of the header, laid out as the C ABI does. */
function structSizes(): Map<string, number> {
  const sizes = new Map<string, number>();
  const aligns = new Map<string, number>();
  for (const [, name = '', body = ''] of header.matchAll(/struct (\w+) \{([^}]*)\}/g)) {
    let end = 0;
    let align = 1;
    for (const [, type = '', members = ''] of body.matchAll(/(\w+)\s+([^;]+);/g)) {
      const width = widths[type] ?? sizes.get(type);
      if (width === undefined) throw new Error(`${name}: a member of unknown type ${type}`);
      const own = widths[type] ?? aligns.get(type) ?? 1;
      align = Math.max(align, own);
      for (const member of members.split(',')) {
        const count = Number(/\[(\d+)\]/.exec(member)?.[1] ?? 1);
        end = Math.ceil(end / own) * own + width * count;
      }
    }
    sizes.set(name, Math.ceil(end / align) * align);
    aligns.set(name, align);
  }
  return sizes;
}

void t.test('opcodes are the same in both tables', async (t) => {
  const native = enumMembers(header, 'Opcode');
  native.delete('kOpcodeCount');
  t.ok(native.size > 40, 'the enum was read');
  const ours = new Map(Object.entries(Opcode).map(([name, code]) => [plain(name), code]));
  for (const [name, value] of native) t.equal(ours.get(plain(name)), Number(value), name);
  t.ok(Math.max(...Object.values(Opcode)) < 64, 'the counters of the native side have room for every opcode');
});

void t.test('the kernel version is the one the header was written from', async (t) => {
  const said = /protocol (\d+)\.(\d+)/.exec(readFileSync(join(checkout, 'native/fuse_abi.h'), 'utf8'));
  t.same([said?.[1], said?.[2]], [String(FUSE_KERNEL_VERSION), String(FUSE_KERNEL_MINOR)]);
});

void t.test('structures that TypeScript writes or skips have the sizes of the header', async (t) => {
  const sizes = structSizes();
  t.equal(sizes.get('InHeader'), IN_HEADER);
  t.equal(sizes.get('OutHeader'), OUT_HEADER);
  t.equal(sizes.get('EntryOut'), ENTRY_OUT);
  t.equal(INIT_OUT, 64, 'include/uapi/linux/fuse.h: struct fuse_init_out');
});

void t.test('fixed parts of requests that TypeScript decodes end where it looks for names', async (t) => {
  const sizes = structSizes();
  const expected = { MkdirIn: 8, MknodIn: 16, CreateIn: 16, Rename2In: 16, ReadIn: 40, ExtHeader: 8 };
  for (const [name, size] of Object.entries(expected)) t.equal(sizes.get(name), size, name);
});

void t.test('structure sizes are computed as the compiler does', async (t) => {
  const sizes = structSizes();
  const asserted = [...header.matchAll(/sizeof\((\w+)\) == (\d+)/g)];
  t.ok(asserted.length >= 10, 'the static_asserts were read');
  for (const [, name = '', size] of asserted) t.equal(sizes.get(name), Number(size), name);
});

void t.test('supplementary groups have the type that the decoder looks for', async (t) => {
  t.match(header, /kExtGroups = 32;/);
});

void t.test('node flags are the same bits on both sides', async (t) => {
  const native = enumMembers(read('node.h'), 'NodeFlag');
  t.ok(native.size >= Object.keys(NodeFlag).length, 'the enum was read');
  for (const [name, bit] of Object.entries(NodeFlag)) {
    const member = `kNode${name[0]?.toUpperCase() ?? ''}${name.slice(1)}`;
    t.equal(native.get(member), `1 << ${Math.log2(bit)}`, name);
  }
});
