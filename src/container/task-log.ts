// The log of a container in Docker's json-file format: a JSON line for each line of output (long ones in pieces), rotated
// by size. Written by the supervisor; read by the daemon (log-reader.ts).

import { createWriteStream, renameSync, statSync, type WriteStream } from 'node:fs';
import type { LogRequest } from './supervisor-protocol.js';

/** A line longer than this is split, as Docker does; the pieces lack the newline. */
const LONGEST_LINE = 16 * 1024;

/** RFC 3339 with nine digits; the clock has three. */
export function logTime(at: number): string {
  return new Date(at).toISOString().replace('Z', '000000Z');
}

class LineSplitter {
  #rest: Buffer[] = [];
  #length = 0;

  /** Calls `line` for each piece: with its newline, or LONGEST_LINE bytes without. */
  push(chunk: Buffer, line: (piece: Buffer) => void): void {
    for (let at = 0; at < chunk.length;) {
      const newline = chunk.indexOf(10, at);
      const room = at + LONGEST_LINE - this.#length;
      const end = Math.min(newline < 0 ? chunk.length : newline + 1, room);
      this.#rest.push(chunk.subarray(at, end));
      this.#length += end - at;
      at = end;
      if (chunk[end - 1] === 10 || this.#length >= LONGEST_LINE) this.flush(line);
    }
  }

  flush(line: (piece: Buffer) => void): void {
    if (this.#length > 0) line(Buffer.concat(this.#rest));
    this.#rest = [];
    this.#length = 0;
  }
}

export class TaskLog {
  #file: WriteStream;
  #size = 0;
  readonly #splitters = { stdout: new LineSplitter(), stderr: new LineSplitter() };

  constructor(private readonly request: LogRequest) {
    this.#size = statSync(request.path, { throwIfNoEntry: false })?.size ?? 0;
    this.#file = this.#open();
  }

  /** Appends output. Returns false when the disk does not keep up: wait for `drained`. */
  write(stream: 'stdout' | 'stderr', chunk: Buffer): boolean {
    this.#splitters[stream].push(chunk, (piece) => this.#line(stream, piece));
    return !this.#file.writableNeedDrain;
  }

  drained(done: () => void): void {
    this.#file.once('drain', done);
  }

  /** Resolves when all is written. */
  end(): Promise<void> {
    for (const stream of ['stdout', 'stderr'] as const) {
      this.#splitters[stream].flush((piece) => this.#line(stream, piece));
    }
    return new Promise((resolve) => this.#file.end(resolve));
  }

  #open(): WriteStream {
    const file = createWriteStream(this.request.path, { flags: 'a', mode: 0o640, highWaterMark: 1 << 20 });
    // A full disk costs log lines, not the container.
    file.on('error', () => undefined);
    return file;
  }

  #line(stream: string, piece: Buffer): void {
    const text = Buffer.from(`${JSON.stringify({ log: piece.toString(), stream, time: logTime(Date.now()) })}\n`);
    const { maxSize } = this.request;
    if (maxSize > 0 && this.#size > 0 && this.#size + text.length > maxSize) this.#rotate();
    this.#size += text.length;
    this.#file.write(text);
  }

  /** path -> path.1 -> ... ; the last one goes. */
  #rotate(): void {
    const { path, maxFiles } = this.request;
    this.#file.end();
    for (let i = maxFiles - 1; i > 0; i--) {
      const from = i === 1 ? path : `${path}.${i - 1}`;
      if (statSync(from, { throwIfNoEntry: false })) renameSync(from, `${path}.${i}`);
    }
    this.#size = 0;
    this.#file = maxFiles > 1 ? this.#open() : this.#reopen();
  }

  #reopen(): WriteStream {
    const file = createWriteStream(this.request.path, { flags: 'w', mode: 0o640, highWaterMark: 1 << 20 });
    file.on('error', () => undefined);
    return file;
  }
}
