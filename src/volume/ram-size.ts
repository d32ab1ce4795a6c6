// Sizes of memory as Docker writes them: a number with a binary unit. Used by mount-fields.ts, cli/ and container/.

const UNITS = 'bkmgtp';

/** `64m`, `1.5GiB`, `4096` in bytes (units are powers of 1024); undefined when it is no size. */
export function ramInBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?([bkmgtp])?(?:(?<=[kmgtp])i?b)?$/i.exec(text);
  if (!match) return undefined;
  const power = Math.max(0, UNITS.indexOf((match[2] ?? 'b').toLowerCase()));
  return Math.trunc(Number(match[1]) * 1024 ** power);
}
