// Entry point of a process that copies a volume's content into an empty directory: `copy-child.js FROM TO`. A process of its
// own, since a copy may take minutes in which the daemon has others to answer. Started by transfer.ts; what went wrong is on
// stderr.

import { writeSync } from 'node:fs';
import { copyContent, fillDirectory } from './transfer.js';

const STDERR = 2;
const [, , from = '', to = ''] = process.argv;

fillDirectory(to, copyContent(from)).catch((error: unknown) => {
  writeSync(STDERR, error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
