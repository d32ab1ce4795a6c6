// The repository's own sources as text, for tests of its rules.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from '../support/paths.js';

export interface Source {
  /** Relative to the checkout. */
  readonly path: string;
  readonly text: string;
}

/** Every file below `folders` whose name ends in one of `endings`. */
export function sources(folders: readonly string[], endings: readonly string[]): Source[] {
  return folders.flatMap((folder) =>
    readdirSync(join(checkout, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => endings.some((ending) => name.endsWith(ending)))
      .sort()
      .map((name) => ({ path: join(folder, name), text: readFileSync(join(checkout, folder, name), 'utf8') })),
  );
}
