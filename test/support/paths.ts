// Where the tests find the checkout and put their temporary directories.

import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

function checkoutRoot(): string {
  for (let at = __dirname; ; at = dirname(at)) {
    if (existsSync(join(at, 'binding.gyp'))) return at;
    if (at === '/') throw new Error(`${__dirname}: no directory above has a binding.gyp: run the tests from a checkout`);
  }
}

/** The checkout, also when running compiled from dist/. */
export const checkout = checkoutRoot();

/** The directory above all temporary directories; must allow trusted xattrs, so LAMINA_TEST_DIR can move it. */
export const scratchRoot = process.env['LAMINA_TEST_DIR'] ?? tmpdir();

/** Marks this process's temporary directories, mounts and servers, so that leaks can be told from other tests' work. */
export const testTag = `lamina-test-${process.pid}`;

/** A new temporary directory with this process's tag in its name. The caller removes it. */
export function scratchDir(): string {
  return mkdtempSync(join(scratchRoot, `${testTag}-`));
}
