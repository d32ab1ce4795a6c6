// Lines of a stream that may turn into something else after the first one.

import type { Readable } from 'node:stream';

/** A peer that sends no newline is not one of ours. */
const LONGEST = 16 << 20;

export class LineReader {
  constructor(private readonly source: Readable) {}

  /** The first line, and the bytes that came with it. The stream is paused then. */
  once(found: (line: string, rest: Buffer) => void): void {
    const chunks: Buffer[] = [];
    const read = (chunk: Buffer): void => {
      chunks.push(chunk);
      if (!chunk.includes(10)) {
        if (chunks.reduce((sum, each) => sum + each.length, 0) > LONGEST) this.source.destroy();
        return;
      }
      this.source.off('data', read);
      this.source.pause();
      const all = Buffer.concat(chunks);
      const end = all.indexOf(10);
      found(all.toString('utf8', 0, end), all.subarray(end + 1));
    };
    this.source.on('data', read);
  }

  /** Every line from `rest` on. */
  each(rest: Buffer, found: (line: string) => void): void {
    let pending: Buffer[] = rest.length > 0 ? [rest] : [];
    let length = rest.length;
    const drain = (): void => {
      let all = Buffer.concat(pending);
      for (let end = all.indexOf(10); end >= 0; end = all.indexOf(10)) {
        found(all.toString('utf8', 0, end));
        all = all.subarray(end + 1);
      }
      pending = all.length > 0 ? [all] : [];
      length = all.length;
    };
    this.source.on('data', (chunk: Buffer) => {
      pending.push(chunk);
      length += chunk.length;
      if (chunk.includes(10)) drain();
      else if (length > LONGEST) this.source.destroy();
    });
    drain();
    this.source.resume();
  }
}
