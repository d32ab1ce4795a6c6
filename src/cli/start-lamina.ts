// Entry point of bin/lamina.

import { start } from './start.js';

start(async () => (await import('./main.js')).main(process.argv.slice(2)));
