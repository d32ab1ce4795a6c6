// `--tmpfs DST[:OPTIONS]`: Docker's defaults, what the user says after them wins.

/** An option that tmpfs does not have; Docker's words. */
export class TmpfsOptionError extends Error {
  override readonly name = 'TmpfsOptionError';
}

const SWITCHES: readonly (readonly [on: string, off: string])[] = [
  ['exec', 'noexec'],
  ['suid', 'nosuid'],
  ['dev', 'nodev'],
  ['rw', 'ro'],
  ['atime', 'noatime'],
  ['diratime', 'nodiratime'],
  ['sync', 'async'],
  ['relatime', 'norelatime'],
  ['strictatime', 'nostrictatime'],
];
const VALUES: readonly string[] = ['size', 'mode', 'uid', 'gid', 'nr_inodes', 'nr_blocks', 'mpol'];
const PROPAGATION = /^r?(private|shared|slave|unbindable)$/;

/** Mount options for the OCI spec. Errors: TmpfsOptionError. */
export function tmpfsOptions(text: string): string[] {
  const chosen = new Map<string, string>([
    ['exec', 'noexec'],
    ['suid', 'nosuid'],
    ['dev', 'nodev'],
    ['propagation', 'rprivate'],
  ]);
  for (const option of text.split(',').filter(Boolean)) {
    const pair = SWITCHES.find((names) => names.includes(option));
    const [key = '', value] = option.split('=');
    if (pair) chosen.set(pair[0], option);
    else if (PROPAGATION.test(option)) chosen.set('propagation', option);
    else if (VALUES.includes(key) && value) chosen.set(key, option);
    else throw new TmpfsOptionError(`invalid tmpfs option ${JSON.stringify(option)}`);
  }
  return [...chosen.values()];
}
