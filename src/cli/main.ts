// The `lamina` command: finds what its words mean, runs it and ends with its exit code. Called by start-lamina.ts.

import { endWithReader, outliveReader } from './closed-output.js';
import { Told, runCommand } from './command.js';
import { findCommand, runGroup } from './dispatch.js';
import { groups } from './groups.js';
import { programVersion } from './program-version.js';
import { fail, leave, reportReady } from './ready.js';

const HELP = `Usage:  lamina COMMAND [OPTIONS]

Container roots as one union of image layers, with volumes that bypass it

Roots without an engine:
  mount       Mount an image or layer directories on a directory
  umount      Unmount container roots
  ls          List what is mounted: layers, routes, tiers
  stats       Show the requests a mount has served

Containers:
  run, create, start, stop, restart, kill, pause, unpause, wait, attach, exec
  ps, inspect, logs, top, stats, port, rename, update, rm, cp, diff, export, commit

Images:
  images, pull, push, build, load, save, import, tag, history, rmi, image COMMAND
  login, logout, search

Volumes and networks:
  volume ls|create|inspect|rm|prune|export|import|clone
  network ls|create|inspect|rm|prune|connect|disconnect

The engine:
  daemon      Run the engine behind the Docker Engine API; commands start it when it is absent
  info, events, system df|prune, builder prune, version, completion

Run 'lamina COMMAND --help' for more on a command.
`;

/** Runs what the words say. Returns the exit code; none when the process stays (it serves). */
async function run(word: string | undefined, argv: readonly string[]): Promise<number | undefined> {
  if (word === '--version' || word === '-V') {
    process.stdout.write(`lamina version ${programVersion()}\n`);
    return 0;
  }
  if (word === undefined || ['help', '--help', '-h'].includes(word)) {
    process.stdout.write(HELP);
    return 0;
  }
  const found = await findCommand(word, argv);
  if (found) return runCommand(found.command, found.argv);
  if (groups.includes(word)) return runGroup(word, argv[0]);
  process.stderr.write(`lamina: unknown command: lamina ${word}\n\nRun 'lamina --help' for more information\n`);
  return 1;
}

/** Entry point of bin/lamina. */
export async function main(argv: readonly string[]): Promise<void> {
  if (argv[0] === 'daemon' || argv[0] === 'mount') outliveReader();
  else endWithReader();
  try {
    const code = await run(argv[0], argv.slice(1));
    if (code !== undefined) finish(code);
  } catch (error) {
    if (error instanceof Told) leave(error.exitCode);
    fail((error as Error).message, 1);
  }
}

/** A command that ran under the mount launcher without mounting (its help) lets the launcher go too. */
function finish(code: number): void {
  process.exitCode = code;
  reportReady(code);
}
