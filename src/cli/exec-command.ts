// `lamina exec`: another command in a container that runs.

import { DETACHED, converse, terminalOf } from './attached.js';
import { environment } from './common-flags.js';
import type { Command, Commands } from './command.js';
import { engine, path } from './engine.js';
import { complain } from './failures.js';
import { ENGINE_FAILED, exitCodeOf } from './exit-codes.js';

const exec: Command = {
  spec: {
    command: 'lamina exec',
    usage: '[OPTIONS] CONTAINER COMMAND [ARG...]',
    summary: 'Execute a command in a running container',
    flags: {
      detach: { short: 'd', help: 'Detached mode: run command in the background' },
      'detach-keys': { takes: 'KEYS', help: 'Override the key sequence for detaching a container' },
      env: { short: 'e', takes: 'NAME=VALUE', many: true, help: 'Set environment variables' },
      interactive: { short: 'i', help: 'Keep STDIN open even if not attached' },
      privileged: { help: 'Give extended privileges to the command' },
      tty: { short: 't', help: 'Allocate a pseudo-TTY' },
      user: { short: 'u', takes: 'NAME|UID[:GROUP|GID]', help: 'Username or UID' },
      workdir: { short: 'w', takes: 'DIR', help: 'Working directory inside the container' },
    },
    stopAtFirst: true,
  },
  takes: [2, Infinity],
  async run(args) {
    const client = await engine();
    const [name = '', ...words] = args.rest;
    const tty = args.has('tty');
    const stdin = args.has('interactive');
    if (stdin && tty && !process.stdin.isTTY) throw new Error('the input device is not a TTY');
    const body = {
      AttachStdin: stdin,
      AttachStdout: !args.has('detach'),
      AttachStderr: !args.has('detach'),
      Detach: args.has('detach'),
      Tty: tty,
      Env: environment(args.all('env')),
      Cmd: words,
      Privileged: args.has('privileged'),
      User: args.value('user') ?? '',
      WorkingDir: args.value('workdir') ?? '',
    };
    const { Id: id } = await client.json<{ Id: string }>('POST', path('/containers/', name, '/exec'), { body });
    if (args.has('detach')) {
      (await client.call('POST', path('/exec/', id, '/start'), { body: { Detach: true, Tty: tty } })).resume();
      return 0;
    }
    try {
      const socket = await client.hijack(path('/exec/', id, '/start'), { body: { Detach: false, Tty: tty } });
      const streams = { stdin, stdout: true, stderr: true };
      if (await converse(socket, { tty, streams, ...terminalOf(client, args, path('/exec/', id)) })) throw new Error(DETACHED);
      return (await client.json<{ ExitCode: number | null }>('GET', path('/exec/', id, '/json'))).ExitCode ?? 0;
    } catch (error) {
      complain(error);
      const code = exitCodeOf(error);
      return code === ENGINE_FAILED ? 1 : code;
    }
  },
};

export const commands: Commands = { exec };
