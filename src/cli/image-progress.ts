// The progress of `image load`: one bar a layer on a terminal, nothing in a pipe. Called by image-load.ts.

import type { LoadEvent } from '../image/index.js';
import { humanSize } from './units.js';

export interface Terminal {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

const REDRAW_MS = 50;

/** Draws events on `terminal`; `end` leaves it at the start of a line. */
export class ProgressBar {
  private layer = '';
  private drawn = 0;
  private open = false;

  constructor(private readonly terminal: Terminal) {}

  readonly show = (event: LoadEvent): void => {
    if (event.kind === 'sync') {
      this.end();
      this.line('Writing the layers to disk');
      return;
    }
    const last = event.done === event.total;
    if (event.diffId !== this.layer) this.end();
    else if (!last && Date.now() - this.drawn < REDRAW_MS) return;
    this.layer = event.diffId;
    this.drawn = Date.now();
    const counts = `${humanSize(event.done)}/${humanSize(event.total)}`;
    const width = Math.max(10, Math.min(50, (this.terminal.columns ?? 80) - 35 - counts.length));
    const full = event.total === 0 ? width : Math.floor((width * event.done) / event.total);
    const bar = last ? '='.repeat(width) : `${'='.repeat(full)}>`.padEnd(width).slice(0, width);
    this.line(`${event.diffId.slice(0, 12)}: Loading layer [${bar}] ${counts}`);
  };

  end(): void {
    if (this.open) this.terminal.write('\n');
    this.open = false;
  }

  private line(text: string): void {
    this.terminal.write(`\r\x1b[K${text}`);
    this.open = true;
  }
}
