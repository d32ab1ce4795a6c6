// The log of a container in Docker's json-file format: a JSON line for each line of output (long ones in pieces), rotated
// by size. Written by the supervisor; read by the daemon (log-reader.ts).

import { closeSync, createWriteStream, openSync, readSync, renameSync, statSync, type WriteStream } from 'node:fs';
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
  /** Undefined after an error: the next line opens it again. */
  #file: WriteStream | undefined;
  #size = 0;
  readonly #splitters = { stdout: new LineSplitter(), stderr: new LineSplitter() };
  #waiting: (() => void)[] = [];

  constructor(private readonly request: LogRequest) {
    // Who follows it wants it to be there.
    this.#open('a');
  }

  /** Appends output. Returns false when the disk does not keep up: wait for `drained`. */
  write(stream: 'stdout' | 'stderr', chunk: Buffer): boolean {
    this.#splitters[stream].push(chunk, (piece) => this.#line(stream, piece));
    return this.#file?.writableNeedDrain !== true;
  }

  drained(done: () => void): void {
    this.#waiting.push(done);
  }

  /** Resolves when all is written that could be. */
  end(): Promise<void> {
    for (const stream of ['stdout', 'stderr'] as const) {
      this.#splitters[stream].flush((piece) => this.#line(stream, piece));
    }
    const file = this.#file;
    return file ? new Promise((resolve) => file.end(resolve)) : Promise.resolve();
  }

  /** A full disk costs log lines, not the container; there may be room for a later one. */
  #open(flags: 'a' | 'w'): WriteStream {
    const { path } = this.request;
    this.#size = flags === 'w' ? 0 : (statSync(path, { throwIfNoEntry: false })?.size ?? 0);
    const file = createWriteStream(path, { flags, mode: 0o640, highWaterMark: 1 << 20 });
    const wake = (): void => {
      for (const done of this.#waiting.splice(0)) done();
    };
    file.on('error', () => {
      if (this.#file === file) this.#file = undefined;
    });
    file.on('drain', wake).on('close', wake);
    // What was cut off is a line of its own, which readers leave out.
    if (this.#size > 0 && !endsLine(path, this.#size)) file.write('\n');
    return (this.#file = file);
  }

  #line(stream: string, piece: Buffer): void {
    const text = Buffer.from(`${JSON.stringify({ log: piece.toString(), stream, time: logTime(Date.now()) })}\n`);
    const { maxSize } = this.request;
    let file = this.#file ?? this.#open('a');
    if (maxSize > 0 && this.#size > 0 && this.#size + text.length > maxSize) file = this.#rotate(file);
    this.#size += text.length;
    file.write(text);
  }

  /** path -> path.1 -> ... ; the last one goes. */
  #rotate(old: WriteStream): WriteStream {
    const { path, maxFiles } = this.request;
    old.end();
    try {
      for (let i = maxFiles - 1; i > 0; i--) {
        const from = i === 1 ? path : `${path}.${i - 1}`;
        if (statSync(from, { throwIfNoEntry: false })) renameSync(from, `${path}.${i}`);
      }
    } catch {
      // Not even a name has room on the disk: it grows beyond its limit until there is.
      return this.#open('a');
    }
    return this.#open(maxFiles > 1 ? 'a' : 'w');
  }
}

function endsLine(path: string, size: number): boolean {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    const last = Buffer.alloc(1);
    return readSync(fd, last, 0, 1, size - 1) === 0 || last[0] === 10;
  } catch {
    // No file, no line.
    return true;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
