// Paths that go up while others rename: the kernel is asked again.

import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { errno } from '../../src/abi/errno.js';
import { sys } from '../../src/native/load.js';
import { openInside } from '../../src/native/open-inside.js';
import { Open, Resolve } from '../../src/native/syscalls.js';
import { waitFor } from '../support/command.js';
import { scratchDir } from '../support/paths.js';

const RENAMES = `
  const { renameSync } = require('node:fs');
  const { workerData: directory } = require('node:worker_threads');
  for (;;) { renameSync(directory + '/a', directory + '/b'); renameSync(directory + '/b', directory + '/a'); }
`;

void t.test('a path that goes up is opened however much others rename', async (t) => {
  const top = scratchDir();
  for (const name of ['a', 'd']) mkdirSync(join(top, name));
  const fd = openSync(top, 'r');
  const worker = new Worker(RENAMES, { eval: true, workerData: top });
  t.teardown(async () => {
    await worker.terminate();
    closeSync(fd);
    rmSync(top, { recursive: true });
  });
  const path = 'd/../'.repeat(100);
  const open = (using: typeof openInside): number => using(fd, path, Open.PATH, 0, Resolve.IN_ROOT);
  const opened = (found: number): number => (found < 0 ? found : sys.close(found));
  await waitFor('the kernel to be at a loss', () => opened(open((...asked) => sys.openat2(...asked))) === -errno.EAGAIN);
  let failed = 0;
  for (let tries = 0; tries < 2000; tries++) failed += opened(open(openInside)) === 0 ? 0 : 1;
  t.equal(failed, 0);
});
