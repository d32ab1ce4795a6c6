// Which part of src/ may import which (DESIGN.md, "The tree"). Read from the import lines, so that a type-only or a lazy
// import counts like any other.

import { dirname, join } from 'node:path';
import t from 'tap';
import { type Source, sources } from './sources.js';

/** What each folder may import beside itself; '*' is everything. */
const allowed: Readonly<Record<string, readonly string[] | '*'>> = {
  abi: [],
  native: ['abi'],
  session: ['abi', 'native'],
  layer: ['native', 'abi'],
  union: ['layer', 'native', 'abi'],
  process: ['native', 'abi'],
  volume: ['layer', 'tar', 'process', 'native', 'abi'],
  store: ['process', 'native', 'abi'],
  tar: ['native', 'abi'],
  image: ['layer', 'store', 'tar', 'process', 'native', 'abi'],
  build: ['image', 'store', 'tar', 'native', 'abi'],
  transport: ['session', 'union', 'volume', 'layer', 'process', 'native', 'abi'],
  network: ['native', 'abi'],
  container: ['network', 'transport', 'image', 'store', 'volume', 'tar', 'layer', 'process', 'native', 'abi'],
  engine: '*',
  client: [],
  cli: '*',
  demo: '*',
  'index.ts': '*',
};

/** Packages that only one folder may know. */
const packages: Readonly<Record<string, readonly string[]>> = {
  level: ['store'],
  'tar-stream': ['image', 'demo'],
  'dockerfile-ast': ['build'],
  'lru-cache': ['session', 'union', 'image'],
};

const importing = /(?:(?<![-'\w])from\s*|\bimport\s*\(\s*|\brequire\s*\(\s*|^\s*import\s+)'([^'\s]+)'/gm;

/** The folder below src/ that a path belongs to, or the file itself when it is in none. */
const part = (path: string): string => path.split('/')[1] ?? '';

/** What is wrong with the imports of one file. */
function wrongImports({ path, text }: Source): string[] {
  const from = part(path);
  const may = allowed[from];
  if (may === undefined) return [`${path}: no rule says what src/${from} may import`];
  const wrong: string[] = [];
  for (const [, specifier = ''] of text.matchAll(importing)) {
    if (specifier.startsWith('.')) {
      const target = join(dirname(path), specifier);
      const to = part(target).replace(/\.js$/, '.ts');
      // The command line names its version; from dist/src/ the manifest is one folder further up.
      if (from === 'cli' && specifier.endsWith('/package.json')) continue;
      if (!target.startsWith('src/')) wrong.push(`${path}: ${specifier} is outside src/`);
      else if (to !== from && may !== '*' && !may.includes(to)) wrong.push(`${path}: src/${from} may not import ${specifier}`);
    } else if (!specifier.startsWith('node:')) {
      const owners = packages[specifier];
      if (owners === undefined) wrong.push(`${path}: no rule says who may import ${specifier}`);
      else if (!owners.includes(from)) wrong.push(`${path}: ${specifier} belongs to ${owners.join(', ')}`);
    }
  }
  return wrong;
}

void t.test('imports go only in the directions of the design', async (t) => {
  const files = sources(['src'], ['.ts']);
  t.ok(files.length > 50, 'the sources were found');
  const edges = files.flatMap(({ text }) => [...text.matchAll(importing)]);
  t.ok(edges.length > 200, 'their imports were read');
  t.same(files.flatMap(wrongImports), []);
});

void t.test('a wrong direction is found in every form of import', async (t) => {
  const lines = [
    "import { errno } from '../native/load.js';",
    "import type { NodeId } from '../native/mount.js';",
    "import {\n  a,\n  b,\n} from '../native/load.js';",
    "import '../native/load.js';",
    "export * from '../native/load.js';",
    "const { sys } = await import('../native/load.js');",
    "const { sys } = require('../native/load.js') as never;",
    "type Sys = import('../native/syscalls.js').Syscalls;",
    "import t from '../../test/support/paths.js';",
    "import { Level } from 'level';",
    "import leftPad from 'left-pad';",
  ];
  for (const line of lines) t.equal(wrongImports({ path: 'src/abi/x.ts', text: line }).length, 1, line);
  t.same(
    wrongImports({ path: 'src/abi/x.ts', text: "import { errno } from './errno.js';\nimport { join } from 'node:path';" }),
    [],
  );
  t.equal(wrongImports({ path: 'src/session/x.ts', text: "import { Union } from '../union/union.js';" }).length, 1);
  t.same(wrongImports({ path: 'src/cli/x.ts', text: "import { Union } from '../union/union.js';" }), []);
  t.equal(wrongImports({ path: 'src/elsewhere/x.ts', text: '' }).length, 1);
});
