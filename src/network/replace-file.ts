// Records in files of their own: what a reader finds is the old text or the new one. Used by networks.ts and endpoints.ts.

import { renameSync, rmSync, writeFileSync } from 'node:fs';

/** What the name of a file ends with while its text is written; a killed process leaves one, which is removed at the next start. */
export const DRAFT = '.tmp';

/** @param flush whether the text is on the disk before it has its name. Throws what node:fs throws; nothing is left then. */
export function replaceFile(path: string, text: string, flush: boolean): void {
  const draft = path + DRAFT;
  try {
    writeFileSync(draft, text, { mode: 0o600, flush });
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}
