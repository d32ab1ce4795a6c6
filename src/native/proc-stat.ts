// What the kernel says of a process in /proc/PID/stat. Used by whoever asks whether a process lives, or is the same one.

import { readFileSync } from 'node:fs';

export interface ProcStat {
  /** A letter of proc(5): Z waits to be asked how it ended, X is no more. */
  readonly state: string;
  /** Clock ticks of the processor that it has had, fields 14 and 15. */
  readonly spent: number;
  /** Clock ticks since boot, field 22: with the pid it names a process for good. */
  readonly started: string;
}

/** Undefined when there is no such process. */
export function procStat(pid: number | string): ProcStat | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command, in parentheses, may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', spent: Number(fields[11]) + Number(fields[12]), started: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}
