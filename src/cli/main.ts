// The `lamina` command: finds the subcommand and loads only what it needs, for a quick start.

import { endWithReader, outliveReader } from './closed-output.js';
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

/** Runs a subcommand; undefined means that the process stays (it serves a mount). */
async function run(command: string | undefined, argv: readonly string[]): Promise<number | undefined> {
  switch (command) {
    case 'mount':
      return (await import('./mount.js')).mount(argv);
    case 'umount':
    case 'unmount':
      return (await import('./mounted.js')).umount(argv);
    case 'ls':
      return (await import('./mounted.js')).ls(argv);
    case 'stats':
      // A path is a mount's target; everything else is a container.
      if (argv.some((word) => word.includes('/') || word === '--json')) return (await import('./mounted.js')).stats(argv);
      return (await import('./dispatch.js')).dispatch(command, argv);
    case 'images':
      return run('image', ['ls', ...argv]);
    case 'rmi':
      return run('image', ['rm', ...argv]);
    case 'load':
      return run('image', ['load', ...argv]);
    case 'image':
      return image(argv);
    case 'volume':
      return volume(argv);
    case 'daemon':
      return (await import('./daemon.js')).daemon(argv, programVersion());
    case '--version':
    case '-V':
      process.stdout.write(`lamina version ${programVersion()}\n`);
      return 0;
    case undefined:
    case 'help':
    case '--help':
    case '-h':
      process.stdout.write(HELP);
      return 0;
    case 'completion':
      return (await import('./completion.js')).completion(argv);
    default: {
      const code = await (await import('./dispatch.js')).dispatch(command, argv);
      if (code !== undefined) return code;
      process.stderr.write(`lamina: unknown command: lamina ${command}\n\nRun 'lamina --help' for more information\n`);
      return 1;
    }
  }
}

/** Whether these words can be done without an engine, and none runs that could be asked. */
async function isOffline(argv: readonly string[], words: readonly string[]): Promise<boolean> {
  const [command = ''] = argv;
  if (!words.includes(command) || argv.some((word) => word.startsWith('-f') || word.startsWith('--filter'))) return false;
  const { isServed } = await import('../client/socket.js');
  return !(await isServed((await import('./socket-path.js')).socketPath()));
}

async function image(argv: readonly string[]): Promise<number> {
  if (argv[0] === 'load' || (await isOffline(argv, ['ls', 'list', 'rm', 'remove']))) {
    return (await import('./image.js')).imageCommand(argv, process, { inUse: (await import('./in-use.js')).layerUsers });
  }
  return (await (await import('./dispatch.js')).dispatch('image', argv)) ?? 1;
}

async function volume(argv: readonly string[]): Promise<number> {
  if (await isOffline(argv, ['ls', 'rm'])) return (await import('./volumes.js')).volumeCommand(argv);
  return (await (await import('./dispatch.js')).dispatch('volume', argv)) ?? 1;
}

/** Entry point of bin/lamina. */
export async function main(argv: readonly string[]): Promise<void> {
  if (argv[0] === 'daemon' || argv[0] === 'mount') outliveReader();
  else endWithReader();
  try {
    const code = await run(argv[0], argv.slice(1));
    if (code !== undefined) finish(code);
  } catch (error) {
    if ((error as Error).name === 'Told') leave((error as Error & { exitCode: number }).exitCode);
    const usage = (error as Error).name === 'UsageError' ? (error as Error & { command: string }).command : undefined;
    if (usage === undefined) fail(prefixOf(error) + (error as Error).message, exitCode(error));
    fail(
      `${(error as Error).message}\n\nRun '${usage} --help' for more information`,
      (error as Error & { exitCode: number }).exitCode,
    );
  }
}

/** Errors of the engine are told in its words. */
function prefixOf(error: unknown): string {
  return (error as Error).name === 'ApiError' ? 'Error response from daemon: ' : '';
}

function exitCode(error: unknown): number {
  return (error as Error).name === 'VolumeSpecError' ? 125 : ((error as { exitCode?: number }).exitCode ?? 1);
}

/** A command that ran under the mount launcher without mounting (its help) lets the launcher go too. */
function finish(code: number): void {
  process.exitCode = code;
  reportReady(code);
}
