// The command line of the bench. main.ts parses it once; workloads read the result through Bench.

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { hosts, type Host } from './host.js';
import { root } from './load.js';
import { targets } from './targets.js';

export interface Options {
  names: readonly string[];
  quick: boolean;
  check: boolean;
  targets: readonly string[] | undefined;
  hosts: readonly Host[];
  rounds: number | undefined;
  out: string;
  scratch: string;
}

export const usage = `usage: npm run bench -- [WORKLOAD...] [options]
  --quick            small fixtures and few rounds; results go to build/bench-quick
  --targets A,B      only these: ${targets.map((target) => target.name).join(', ')}
  --host quiet|busy  only this kind of host (default: both)
  --rounds N         samples per figure (default: 5 or more)
  --check            exit 1 when a limit of bench/limits.ts is missed
  --out DIR          where result files go (default: bench/results; a filtered run: build/bench-partial)
  --scratch DIR      where fixtures and mounts go (default: /var/tmp)
`;

function choose<T extends string>(what: string, chosen: string | undefined, known: readonly T[]): T[] | undefined {
  if (chosen === undefined) return undefined;
  return chosen.split(',').map((name) => {
    const match = known.find((candidate) => candidate === name);
    if (match === undefined) throw new Error(`unknown ${what} '${name}'; known: ${known.join(', ')}`);
    return match;
  });
}

/** Parses argv (without node and script). Errors: throws with the word that is wrong and what is known. */
export function parse(argv: readonly string[], workloads: readonly string[]): Options {
  const flag = { type: 'boolean', default: false } as const;
  const text = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { quick: flag, check: flag, targets: text, host: text, rounds: text, out: text, scratch: text },
  });
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0))
    throw new Error(`--rounds takes a positive number, not '${values.rounds}'`);
  const partial = values.targets !== undefined || values.host !== undefined || rounds !== undefined;
  const folder = values.quick ? 'build/bench-quick' : partial ? 'build/bench-partial' : 'bench/results';
  return {
    names: choose('workload', positionals.length > 0 ? positionals.join(',') : undefined, workloads) ?? workloads,
    quick: values.quick,
    check: values.check,
    targets: choose(
      'target',
      values.targets,
      targets.map((target) => target.name),
    ),
    hosts: choose('host', values.host, hosts) ?? hosts,
    rounds,
    out: values.out ?? join(root, folder),
    scratch: values.scratch ?? '/var/tmp',
  };
}
