// What a build is asked for, and how it tells how far it is.

import type { Readable } from 'node:stream';
import type { BuildResources } from './host.js';

export interface BuildRequest {
  /** A tar in any compression, or the URL of one, of a git repository, or of a Dockerfile alone. */
  readonly context: Readable | string;
  /** An existing directory for what must be put aside while the build runs. */
  readonly directory: string;
  /** Path in the context. */
  readonly dockerfile: string;
  /** Names for the result. */
  readonly tags: readonly string[];
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
  /** Stage to build; '' is the last. */
  readonly target: string;
  readonly useCache: boolean;
  /** Asks registries for newer base images. */
  readonly pull: boolean;
  /** Only the id of the result is printed. */
  readonly quiet: boolean;
  /** Containers of steps stay. */
  readonly keepContainers: boolean;
  /** `linux/arm64`; undefined is the host's. */
  readonly platform?: string;
  readonly resources: BuildResources;
}

/** A line of the answer: `{stream}`, `{status, id, progressDetail}`, `{aux}`. */
export type Emit = (message: object) => void;
