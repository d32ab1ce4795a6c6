// Capabilities of a container: Docker's default set, changed by --cap-add and --cap-drop.

import { readFileSync } from 'node:fs';

const DEFAULT: readonly string[] = [
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_MKNOD',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
];

/** All of them, in the kernel's order (capability.h). */
const ALL: readonly string[] = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE ' +
  'NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN ' +
  'SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE ' +
  'MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
)
  .split(' ')
  .map((name) => `CAP_${name}`);

/** Those that this process has: nobody can give more (proc_pid_status(5), CapEff). */
function available(): readonly string[] {
  const [, mask = 'f'.repeat(16)] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
  const held = BigInt(`0x${mask}`);
  return ALL.filter((_, bit) => (held >> BigInt(bit)) & 1n);
}

/** A capability that does not exist; Docker's words. */
export class UnknownCapability extends Error {
  override readonly name = 'UnknownCapability';
}

function normalize(name: string, flag: string): string {
  const upper = name.toUpperCase();
  if (upper === 'ALL') return 'ALL';
  const full = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
  if (ALL.includes(full)) return full;
  throw new UnknownCapability(`invalid ${flag}: unknown capability: ${JSON.stringify(full)}`);
}

/** The set that a container gets. Errors: UnknownCapability. */
export function capabilities(add: readonly string[], drop: readonly string[], privileged: boolean): readonly string[] {
  if (privileged) return available();
  const added = add.map((name) => normalize(name, 'CapAdd'));
  const dropped = drop.map((name) => normalize(name, 'CapDrop'));
  const base = added.includes('ALL') ? available() : dropped.includes('ALL') ? [] : DEFAULT;
  const wanted = new Set([...base, ...added.filter((name) => name !== 'ALL')]);
  return ALL.filter((name) => wanted.has(name) && !dropped.includes(name));
}
