// Preloaded into every test file (.taprc): when the file is done, nothing of it may be left. Looks for the tag that its
// temporary directories have in their names, and that its servers have in their environment; says what it found otherwise
// and ends with 1. Before anything else that runs at exit, so that what cleans up after a killed test hides nothing.

import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { scratchRoot, testTag } from './paths.js';
import { patient } from './patience.js';

/** What has been told to end may take a moment to be gone. */
const LIMIT_MS = patient(3000);

function names(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // ended meanwhile
  }
}

function text(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

const marked = (value: string): boolean => value.includes(`${testTag}-`);

function processes(): string[] {
  const pids = names('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const children = new Set(
    names('/proc/self/task').flatMap((thread) => text(`/proc/self/task/${thread}/children`).split(' ').filter(Boolean)),
  );
  return pids
    .filter((pid) => children.has(pid) || marked(text(`/proc/${pid}/environ`)) || marked(text(`/proc/${pid}/cmdline`)))
    .filter((pid) => !/^State:\s+[ZX]/m.test(text(`/proc/${pid}/status`)))
    .map((pid) => `process ${pid}: ${text(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').slice(0, 200)}`);
}

function fds(): string[] {
  const open = names('/proc/self/fd').map((fd) => link(`/proc/self/fd/${fd}`));
  return open.filter((path) => marked(path) || path === '/dev/fuse').map((path) => `fd on ${path}`);
}

function left(): string[] {
  const mounts = text('/proc/self/mountinfo').split('\n').filter(marked);
  const loops = names('/sys/block').filter((name) => marked(text(`/sys/block/${name}/loop/backing_file`)));
  const directories = names(scratchRoot).filter((name) => name.startsWith(`${testTag}-`));
  return [
    ...mounts.map((line) => `mount ${line}`),
    ...loops.map((name) => `/dev/${name}`),
    ...directories.map((name) => `${scratchRoot}/${name}`),
    ...fds(),
    ...processes(),
  ];
}

process.once('exit', () => {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  let found = left();
  for (const end = Date.now() + LIMIT_MS; found.length > 0 && Date.now() < end; found = left()) Atomics.wait(pause, 0, 0, 50);
  if (found.length === 0) return;
  process.stderr.write(`left behind by ${process.argv[1] ?? ''}:\n${found.map((each) => `  ${each}\n`).join('')}`);
  process.exitCode = 1;
});
