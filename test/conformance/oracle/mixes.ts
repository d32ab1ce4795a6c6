// What the oracle's sequences are made of: each mix is a kind of stack and weighted makers of operations, and a seed
// decides for one of them. Called by cases.ts.

import { any, by } from '../../support/ops.js';
import type { Op } from '../../support/ops.js';
import type { Stack } from '../../support/tree.js';
import { deepMix, longMix } from './deep.js';
import { mapMakers } from './maps.js';
import { nameMakers } from './names.js';
import { objectMakers, objectStack } from './objects.js';
import { ownedStack, processMakers, processStart } from './processes.js';
import type { Random } from './random.js';
import { randomStack, users } from './stacks.js';

/** A maker of one operation, with its weight. */
export type Maker = readonly [number, (random: Random) => Op];

export interface Mix {
  readonly makers: readonly Maker[];
  readonly stack: (random: Random) => Stack;
  /** What every sequence begins with. */
  readonly start?: (random: Random) => Op[];
  /** How much of it single operations by ordinary users are. */
  readonly byUsers: number;
}

export const MIXES: Readonly<Record<string, Mix>> = {
  names: { makers: nameMakers, stack: randomStack, byUsers: 0.2 },
  maps: { makers: [...nameMakers, ...mapMakers], stack: randomStack, byUsers: 0.1 },
  objects: { makers: [...nameMakers, ...objectMakers], stack: objectStack, byUsers: 0.1 },
  processes: { makers: processMakers([...nameMakers, ...mapMakers]), stack: ownedStack, start: processStart, byUsers: 0 },
  deep: deepMix,
  long: longMix,
  all: {
    makers: processMakers([...nameMakers, ...mapMakers, ...objectMakers]),
    stack: (random) => objectStack(random, ownedStack),
    start: processStart,
    byUsers: 0,
  },
};

function drawer(makers: readonly Maker[]): (random: Random) => Op {
  const total = makers.reduce((sum, [weight]) => sum + weight, 0);
  return (random) => {
    let roll = random.next() * total;
    for (const [weight, make] of makers) {
      if (roll < weight) return make(random);
      roll -= weight;
    }
    throw new RangeError('weights do not add up');
  };
}

/** `count` operations; any outcome is right that lamina shares with a reference. */
export function randomOps(random: Random, mix: Mix, count: number): Op[] {
  const draw = drawer(mix.makers);
  const first = mix.start?.(random) ?? [];
  const rest = Array.from({ length: count - first.length }, () => {
    const op = draw(random);
    // The umask is the process's.
    return random.chance(mix.byUsers) && op.op !== 'umask' ? by(random.pick(users), op) : op;
  });
  return [...first, ...rest].map(any);
}
