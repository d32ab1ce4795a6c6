// `lamina daemon`: the engine in the foreground. The other commands start it when it is absent.

import { resolve } from 'node:path';
import { Daemon, DaemonError } from '../engine/daemon.js';
import { makeChosenDirectory } from '../native/make-directories.js';
import { dataRoot } from '../store/index.js';
import { type CommandSpec, helpText, parseArguments } from './arguments.js';
import { socketPath } from './socket-path.js';

const DAEMON: CommandSpec = {
  command: 'lamina daemon',
  usage: '[OPTIONS]',
  summary: 'Run the engine: containers, images, volumes and networks behind the Docker Engine API',
  flags: {
    root: { takes: 'DIR', help: 'Where data is kept (default LAMINA_ROOT, or /var/lib/lamina for root)' },
    socket: { takes: 'PATH', help: 'Where the API listens (default LAMINA_SOCKET)' },
  },
};

export async function daemon(argv: readonly string[], version: string): Promise<number | undefined> {
  const args = parseArguments(DAEMON, argv);
  if (args.has('help')) {
    process.stdout.write(helpText(DAEMON));
    return 0;
  }
  const given = args.value('root');
  const root = given === undefined ? dataRoot() : resolve(given);
  const socket = args.value('socket') ?? socketPath(given === undefined ? process.env : { ...process.env, LAMINA_ROOT: root });
  makeChosenDirectory(root, 0o711, 'LAMINA_ROOT');
  const running = new Daemon({
    root,
    socket: resolve(socket),
    version,
    log: (message) => void process.stderr.write(`${new Date().toISOString()} ${message}\n`),
  });
  try {
    await running.start();
  } catch (error) {
    await running.stop();
    if (!(error instanceof DaemonError)) throw error;
    process.stderr.write(`lamina: ${error.message}\n`);
    return 1;
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void running.stop().then(() => process.exit(0)));
  }
  process.stderr.write(`${new Date().toISOString()} API listens on ${resolve(socket)}\n`);
  return undefined;
}
