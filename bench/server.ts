// The process that serves a FUSE mount: found, and its processor time and memory read, from /proc alone, so that the
// bench never touches the mount from its own process.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

function readProc(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** The device minor of the mount at `target`, which is the number of its FUSE connection; undefined when not mounted. */
export function minorOf(target: string): number | undefined {
  for (const line of readProc('/proc/self/mountinfo').split('\n').reverse()) {
    const fields = line.split(' ');
    if (fields[4] === target) return Number(fields[2]?.split(':')[1]);
  }
  return undefined;
}

function fuseDescriptors(pid: string): string[] {
  return list(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`) === '/dev/fuse';
    } catch {
      return false;
    }
  });
}

/**
 * The process that serves the FUSE mount at `target`, or undefined for kernel file systems.
 * Linux 6.18 names the connection in fdinfo; before, the process that holds /dev/fuse and has `target` in its arguments.
 */
export function serverPid(target: string): number | undefined {
  const minor = minorOf(target);
  let byArguments: number | undefined;
  for (const pid of list('/proc').filter((name) => /^\d+$/.test(name) && name !== String(process.pid))) {
    for (const fd of fuseDescriptors(pid)) {
      const connection = /^fuse_connection:\s*(\d+)/m.exec(readProc(`/proc/${pid}/fdinfo/${fd}`))?.[1];
      if (connection !== undefined && Number(connection) === minor) return Number(pid);
      if (connection === undefined && readProc(`/proc/${pid}/cmdline`).includes(target)) byArguments = Number(pid);
    }
  }
  return byArguments;
}

/** Whether a process lives (a zombie does not). */
export function alive(pid: number): boolean {
  const stat = readProc(`/proc/${pid}/stat`);
  return stat !== '' && !/\) [ZX] /.test(stat);
}

/** Processor time of all threads in nanoseconds (schedstat: exact, where utime+stime count ticks of 10 ms). */
export function cpuTime(pid: number): number {
  return list(`/proc/${pid}/task`).reduce(
    (sum, task) => sum + Number(readProc(`/proc/${pid}/task/${task}/schedstat`).split(' ')[0] ?? 0),
    0,
  );
}

/** Resident memory in bytes. */
export function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readProc(`/proc/${pid}/status`))?.[1] ?? NaN) * 1024;
}

/** The process whose arguments and environment name both. */
export function processOf(program: string, directory: string): number | undefined {
  const found = list('/proc').find((pid) => {
    if (!/^\d+$/.test(pid) || !readProc(`/proc/${pid}/cmdline`).includes(program)) return false;
    return `${readProc(`/proc/${pid}/cmdline`)}${readProc(`/proc/${pid}/environ`)}`.includes(directory);
  });
  return found === undefined ? undefined : Number(found);
}
