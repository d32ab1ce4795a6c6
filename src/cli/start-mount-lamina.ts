// Entry point of bin/mount.lamina.

import { main } from './mount-lamina.js';

main(process.argv.slice(2));
