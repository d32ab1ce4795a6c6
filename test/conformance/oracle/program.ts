// A program as the content of a file: an ELF image that sleeps until it is killed. Called by objects.ts.

const BASE = 0x400000;
const HEADERS = 64 + 56;

/** pause(2) in a loop; on arm64 ppoll(2) of nothing, its arguments being zero when a program begins. */
const MACHINES: Readonly<Record<string, { machine: number; code: number[] }>> = {
  x64: { machine: 62, code: [0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7] },
  arm64: { machine: 183, code: [0x28, 0x09, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4, 0xfe, 0xff, 0xff, 0x17] },
};

function image(): string {
  const here = MACHINES[process.arch];
  if (here === undefined) throw new Error(`no program is known for ${process.arch}`);
  const elf = Buffer.alloc(HEADERS + here.code.length);
  elf.write('\x7fELF\x02\x01\x01', 'latin1');
  elf.writeUInt16LE(2, 16); // ET_EXEC
  elf.writeUInt16LE(here.machine, 18);
  elf.writeUInt32LE(1, 20);
  elf.writeBigUInt64LE(BigInt(BASE + HEADERS), 24); // entry
  elf.writeBigUInt64LE(64n, 32); // program headers
  elf.writeUInt16LE(64, 52);
  elf.writeUInt16LE(56, 54);
  elf.writeUInt16LE(1, 56);
  elf.writeUInt32LE(1, 64); // PT_LOAD
  elf.writeUInt32LE(5, 68); // read, execute
  elf.writeBigUInt64LE(BigInt(BASE), 80);
  elf.writeBigUInt64LE(BigInt(BASE), 88);
  elf.writeBigUInt64LE(BigInt(elf.length), 96);
  elf.writeBigUInt64LE(BigInt(elf.length), 104);
  elf.writeBigUInt64LE(0x1000n, 112);
  Buffer.from(here.code).copy(elf, HEADERS);
  return elf.toString('latin1');
}

export const PROGRAM = image();
