// `lamina daemon`: the engine in the foreground. The other commands start it when it is absent.

import { resolve } from 'node:path';
import { Daemon } from '../engine/daemon.js';
import { makeChosenDirectory } from '../native/make-directories.js';
import { dataRoot } from '../store/index.js';
import type { Command, Commands } from './command.js';
import { tellAsOwn } from './failures.js';
import { programVersion } from './program-version.js';
import { socketPath } from './socket-path.js';

const daemon: Command = {
  spec: {
    command: 'lamina daemon',
    usage: '[OPTIONS]',
    summary: 'Run the engine: containers, images, volumes and networks behind the Docker Engine API',
    flags: {
      root: { takes: 'DIR', help: 'Where data is kept (default LAMINA_ROOT, or /var/lib/lamina for root)' },
      socket: { takes: 'PATH', help: 'Where the API listens (default LAMINA_SOCKET)' },
    },
  },
  tell: tellAsOwn,
  async run(args) {
    const given = args.value('root');
    const root = given === undefined ? dataRoot() : resolve(given);
    const socket = args.value('socket') ?? socketPath(given === undefined ? process.env : { ...process.env, LAMINA_ROOT: root });
    makeChosenDirectory(root, 0o711, 'LAMINA_ROOT');
    const running = new Daemon({
      root,
      socket: resolve(socket),
      version: programVersion(),
      log: (message) => void process.stderr.write(`${new Date().toISOString()} ${message}\n`),
    });
    try {
      await running.start();
    } catch (error) {
      await running.stop();
      throw error;
    }
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => void running.stop().then(() => process.exit(0)));
    }
    process.stderr.write(`${new Date().toISOString()} API listens on ${resolve(socket)}\n`);
    return undefined;
  },
};

export const commands: Commands = { daemon };
