// The control socket of a mount server: one JSON request a line, one JSON answer. Only the user who mounted can reach
// it (the run directory is 0700).

import { createServer, createConnection, type Server } from 'node:net';
import { rmSync } from 'node:fs';
import type { MountStats } from '../native/mount.js';
import type { ServedMount } from './server.js';

export interface ControlRequest {
  op: string;
}

/** Milliseconds a client waits for an answer. */
const LIMIT = 5000;

/** Answers on `socket` until closed. */
export function listen(socket: string, mount: ServedMount): Server {
  rmSync(socket, { force: true });
  const server = createServer((connection) => {
    let text = '';
    connection.setEncoding('utf8');
    connection.on('error', () => connection.destroy());
    connection.on('data', (chunk: string) => {
      text += chunk;
      if (text.length > 65536) connection.destroy();
      if (!text.includes('\n')) return;
      void answer(text, mount).then((reply) => connection.end(`${JSON.stringify(reply)}\n`));
      text = '';
    });
  });
  server.on('error', () => server.close());
  server.listen(socket);
  server.unref();
  return server;
}

async function answer(text: string, mount: ServedMount): Promise<unknown> {
  try {
    const request = JSON.parse(text) as ControlRequest;
    if (request.op === 'stats') return { stats: await mount.stats() };
    return { error: `unknown request: ${request.op}` };
  } catch (cause) {
    return { error: `not a request: ${(cause as Error).message}` };
  }
}

/** Counters of the mount whose server listens on `socket`. Errors: rejects when nobody answers. */
export function askStats(socket: string): Promise<MountStats> {
  return new Promise((resolve, reject) => {
    const connection = createConnection(socket);
    let text = '';
    connection.setTimeout(LIMIT, () => connection.destroy(new Error(`the mount server does not answer on ${socket}`)));
    connection.setEncoding('utf8');
    connection.on('connect', () => connection.write('{"op":"stats"}\n'));
    connection.on('data', (chunk: string) => (text += chunk));
    connection.on('error', reject);
    connection.on('end', () => {
      try {
        const reply = JSON.parse(text) as { stats?: MountStats; error?: string };
        if (reply.stats) resolve(reply.stats);
        else reject(new Error(reply.error ?? 'the mount has ended'));
      } catch (cause) {
        reject(cause instanceof Error ? cause : new Error(String(cause)));
      }
    });
  });
}
