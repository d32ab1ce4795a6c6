// Named cases of relayed data: a union, and a volume beside a bind of the same directory.

import t from 'tap';
import { relayedCases } from './cases/relayed.js';
import { TARGETS } from './oracle/targets.js';
import { conform } from './run.js';

t.setTimeout(120_000);
for (const name of Object.keys(TARGETS)) {
  void t.test(`data on ${name}`, (sub) => conform(sub, relayedCases, TARGETS[name]?.kinds));
}
