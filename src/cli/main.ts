// The `lamina` command: finds the subcommand and loads only what it needs, for a quick start.

import { fail, reportReady } from './serve.js';

const HELP = `Usage:  lamina COMMAND [OPTIONS]

Container roots as one union of image layers, with volumes that bypass it

Commands:
  mount       Mount an image or layer directories on a directory
  umount      Unmount container roots
  ls          List what is mounted: layers, routes, tiers
  stats       Show the requests a mount has served
  image       Load, list, inspect and remove images
  volume      List and remove named volumes
  daemon      Run the engine behind the Docker Engine API
  version     Print the version

Run 'lamina COMMAND --help' for more on a command.
`;

function version(): string {
  return (require('../../../package.json') as { version: string }).version;
}

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
      return (await import('./mounted.js')).stats(argv);
    case 'image':
      return (await import('./image.js')).imageCommand(argv, process, { inUse: (await import('./in-use.js')).layerUsers });
    case 'volume':
      return (await import('./volumes.js')).volumeCommand(argv);
    case 'daemon':
      return (await import('./daemon.js')).daemon(argv, version());
    case 'version':
    case '--version':
    case '-V':
      process.stdout.write(`lamina version ${version()}\n`);
      return 0;
    case undefined:
    case 'help':
    case '--help':
    case '-h':
      process.stdout.write(HELP);
      return 0;
    default:
      process.stderr.write(`lamina: '${command}' is not a lamina command.\nSee 'lamina --help'\n`);
      return 1;
  }
}

/** Entry point of bin/lamina. */
export async function main(argv: readonly string[]): Promise<void> {
  try {
    const code = await run(argv[0], argv.slice(1));
    if (code !== undefined) finish(code);
  } catch (error) {
    const usage = (error as Error).name === 'UsageError' ? (error as Error & { command: string }).command : undefined;
    if (usage === undefined) fail((error as Error).message, exitCode(error));
    fail(`${(error as Error).message}\n\nRun '${usage} --help' for more information`, 125);
  }
}

function exitCode(error: unknown): number {
  return (error as Error).name === 'VolumeSpecError' ? 125 : 1;
}

/** A command that ran under the mount launcher without mounting (its help) lets the launcher go too. */
function finish(code: number): void {
  process.exitCode = code;
  reportReady(code);
}
