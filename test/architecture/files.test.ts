// Rules for every source file: short enough to read, free of output and of paths that only exist on one machine.

import t from 'tap';
import { type Source, sources } from './sources.js';

const LINES = 400;

const everything = sources(['src', 'native', 'test', 'bench'], ['.ts', '.cc', '.h', '.py']);
const product = sources(['src', 'native'], ['.ts', '.cc', '.h']);

/** Places of the machine that something was written on. */
const machinePath = /(?:^|[\s'"`(=])\/(?:work|home|root|Users)\/\w|\bfile:\/\/\/|[A-Z]:\\\\/;
const output = /\bconsole\.\w+\s*\(/;

function linesOf({ text }: Source): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
}

/** `path:line` of every line that matches. */
function places(files: readonly Source[], pattern: RegExp): string[] {
  return files.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}`] : [])),
  );
}

void t.test(`no source file has more than ${LINES} lines`, async (t) => {
  t.ok(everything.length > 100, 'the sources were found');
  const long = everything.filter((file) => linesOf(file) > LINES);
  t.same(
    long.map((file) => `${file.path}: ${linesOf(file)} lines`),
    [],
  );
});

void t.test('no path of one machine is in the product', async (t) => {
  t.same(places(product, machinePath), []);
  t.same(places([{ path: 'x', text: `const a = '/home/me/x';\n// as in /work/notes\n'/var/lib/lamina'` }], machinePath), [
    'x:1',
    'x:2',
  ]);
});

void t.test('nothing but the command line writes to the console', async (t) => {
  const quiet = product.filter(({ path }) => !/^src\/(cli|demo)\//.test(path));
  t.same(places(quiet, output), []);
  t.same(places([{ path: 'x', text: 'console.error(1);\nconsole;' }], output), ['x:1']);
});

void t.test('every file says first what it owns; a .cc leaves that to its header', async (t) => {
  const mute = everything.filter(({ path, text }) => !path.endsWith('.cc') && !/^(\/\/|#|""")/.test(text));
  t.same(
    mute.map(({ path }) => path),
    [],
  );
});
