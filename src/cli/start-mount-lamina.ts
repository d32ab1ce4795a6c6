// Entry point of bin/mount.lamina.

import { start } from './start.js';

start(async () => (await import('./mount-lamina.js')).main(process.argv.slice(2)));
