// The union of a container's image layers, asked for single names. Used by changes.ts and init-layer.ts.

import { mergedSource } from '../volume/merged-source.js';
import type { XattrScheme } from '../layer/format.js';
import type { OpenedDirectory, SourceEntry } from '../volume/source.js';

/** Of layers that are listed topmost first. Paths and names are bytes; the caller closes it. */
export class LayerView {
  #path: string | undefined;
  #directory: OpenedDirectory | undefined;
  #entries = new Map<string, SourceEntry>();
  #release: () => void = () => undefined;

  constructor(
    private readonly layers: readonly string[],
    private readonly scheme: XattrScheme,
  ) {}

  has(path: string, name: string): boolean {
    return this.at(path, name, () => true) ?? false;
  }

  names(path: string): readonly string[] {
    return [...this.#open(path).keys()];
  }

  /** What `read` says of the object; undefined when there is none. */
  at<T>(path: string, name: string, read: (dirfd: number, name: string) => T | undefined): T | undefined {
    const entry = this.#open(path).get(name);
    return entry && read(entry.dirfd, entry.name);
  }

  close(): void {
    this.#directory?.close();
    this.#release();
    this.#directory = undefined;
    this.#entries = new Map();
    this.#path = undefined;
  }

  /** One directory at a time: the caller asks for all of one before the next. */
  #open(path: string): ReadonlyMap<string, SourceEntry> {
    if (this.#path === path) return this.#entries;
    this.close();
    this.#path = path;
    let source;
    try {
      source = mergedSource(this.layers, `/${Buffer.from(path, 'latin1').toString()}`, this.scheme);
    } catch {
      // A file there: it has no entries.
      return this.#entries;
    }
    this.#release = () => source.close();
    const opened = source.directory?.open();
    this.#directory = typeof opened === 'object' ? opened : undefined;
    this.#entries = new Map(this.#directory?.entries.map((entry) => [entry.name, entry]));
    return this.#entries;
  }
}
