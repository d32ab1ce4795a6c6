// Reads a container's json-file log: all or the last lines, between two times, and what is still to come. Rotated files
// are read oldest first.

import { existsSync, statSync, watch } from 'node:fs';
import { open } from 'node:fs/promises';

export interface LogEntry {
  readonly log: string;
  readonly stream: 'stdout' | 'stderr';
  /** RFC 3339. */
  readonly time: string;
}

export interface LogOptions {
  /** Lines from the end; undefined for all. */
  readonly tail: number | undefined;
  /** Milliseconds since the epoch. */
  readonly since: number | undefined;
  readonly until: number | undefined;
  readonly follow: boolean;
  readonly signal: AbortSignal;
  /** Resolves when no more will come. */
  readonly ended: Promise<unknown>;
}

const CHUNK = 64 * 1024;

function filesOf(path: string): string[] {
  const files: string[] = [];
  for (let i = 1; existsSync(`${path}.${i}`); i++) files.unshift(`${path}.${i}`);
  return existsSync(path) ? [...files, path] : files;
}

function parse(line: string): LogEntry | undefined {
  try {
    return JSON.parse(line) as LogEntry;
  } catch {
    // The last line of a log whose writer was killed.
    return undefined;
  }
}

/** Complete lines of a file from `offset` on, and where the next one begins. */
async function* linesOf(path: string, state: { offset: number }): AsyncGenerator<string> {
  const file = await open(path, 'r');
  try {
    let rest = Buffer.alloc(0);
    for (;;) {
      const chunk = Buffer.alloc(CHUNK);
      const { bytesRead } = await file.read(chunk, 0, CHUNK, state.offset + rest.length);
      if (bytesRead === 0) return;
      rest = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
        const line = rest.toString('utf8', 0, end);
        state.offset += end + 1;
        rest = rest.subarray(end + 1);
        yield line;
      }
    }
  } finally {
    await file.close();
  }
}

/** Whether no more will come, and whom to tell; one for each reader, however often its log grows. */
class End {
  over = false;
  onEnd = (): void => undefined;

  constructor({ ended, signal }: LogOptions) {
    const end = (): void => {
      this.over = true;
      this.onEnd();
    };
    signal.addEventListener('abort', end, { once: true });
    void ended.then(end);
  }
}

/** Resolves when the file has more than `offset` bytes or was replaced, or on the end. */
function grown(path: string, offset: number, end: End): Promise<'grown' | 'ended'> {
  if (end.over) return Promise.resolve('ended');
  return new Promise((resolve) => {
    const finish = (how: 'grown' | 'ended'): void => {
      watcher.close();
      resolve(how);
    };
    const watcher = watch(path, () => finish('grown'));
    watcher.on('error', () => finish('ended'));
    end.onEnd = () => finish('ended');
    if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > offset) finish('grown');
  });
}

function within(entry: LogEntry, { since, until }: LogOptions): boolean {
  const at = Date.parse(entry.time);
  return (since === undefined || at >= since) && (until === undefined || at <= until);
}

async function* written(path: string, state: { offset: number }, options: LogOptions): AsyncGenerator<LogEntry> {
  const last: LogEntry[] = [];
  for (const file of filesOf(path)) {
    const at = file === path ? state : { offset: 0 };
    for await (const line of linesOf(file, at)) {
      const entry = parse(line);
      if (!entry || !within(entry, options)) continue;
      if (options.tail === undefined) yield entry;
      else if (options.tail > 0) {
        last.push(entry);
        if (last.length > options.tail) last.shift();
      }
    }
  }
  yield* last;
}

/** Entries of the log at `path`, oldest first. */
export async function* readLog(path: string, options: LogOptions): AsyncGenerator<LogEntry> {
  const state = { offset: 0 };
  yield* written(path, state, options);
  if (!options.follow) return;
  const end = new End(options);
  for (let over = false; !over && !options.signal.aborted;) {
    if (!existsSync(path)) return;
    // A rotated log begins anew.
    if (statSync(path).size < state.offset) state.offset = 0;
    over = (await grown(path, state.offset, end)) === 'ended';
    if (!existsSync(path)) return;
    for await (const line of linesOf(path, state)) {
      const entry = parse(line);
      if (!entry) continue;
      if (options.until !== undefined && Date.parse(entry.time) > options.until) return;
      if (within(entry, options)) yield entry;
    }
  }
}
