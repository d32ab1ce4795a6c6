// The engine's progress messages on a terminal (a line for each layer, redrawn) and in a pipe (one line for each step).

import type { Writable } from 'node:stream';
import type { StreamMessage } from '../client/client.js';

function bar({ current = 0, total = 0 }: NonNullable<StreamMessage['progressDetail']>): string {
  if (total <= 0) return '';
  const width = 30;
  const filled = Math.min(width, Math.floor((current / total) * width));
  return ` [${'='.repeat(filled)}${filled < width ? '>' : ''}${' '.repeat(Math.max(0, width - filled - 1))}] ${Math.floor((current / total) * 100)}%`;
}

/** Prints messages as they come. Errors: those of the stream. */
export async function showProgress(
  messages: AsyncIterable<StreamMessage>,
  out: Writable & { readonly isTTY?: boolean },
): Promise<void> {
  const rows = new Map<string, number>();
  const last = new Map<string, string>();
  for await (const { stream, status, id, progressDetail } of messages) {
    if (stream !== undefined) out.write(stream);
    if (status === undefined) continue;
    if (id === undefined) {
      out.write(`${status}\n`);
      continue;
    }
    if (!out.isTTY) {
      if (last.get(id) !== status) out.write(`${id}: ${status}\n`);
      last.set(id, status);
      continue;
    }
    const row = rows.get(id);
    const text = `${id}: ${status}${progressDetail ? bar(progressDetail) : ''}`;
    if (row === undefined) {
      rows.set(id, rows.size);
      out.write(`${text}\n`);
    } else {
      const up = rows.size - row;
      out.write(`\x1b[${up}A\r\x1b[2K${text}\x1b[${up}B\r`);
    }
  }
}

/** Waits for the end of what is told, in silence. Errors: those of the stream. */
export async function untilDone(messages: AsyncIterator<StreamMessage>): Promise<void> {
  while (!(await messages.next()).done);
}
