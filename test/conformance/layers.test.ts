// What layers mean, names, listings and read-only unions; see cases/layers.ts and cases/read-only.ts.

import t from 'tap';
import {
  formatCases,
  foundCases,
  manyLayerCases,
  nameCases,
  ownCases,
  readdirCases,
  rootCases,
  typeChangeCases,
} from './cases/layers.js';
import { objectCases, protectionCases } from './cases/found.js';
import { seldomCases } from './cases/seldom.js';
import { readOnlyCases } from './cases/read-only.js';
import { conform } from './run.js';

// A hang is found by the limits of the single operations; this one is for all of them together.
t.setTimeout(300_000);

void t.test('layers', (sub) => conform(sub, [...formatCases, ...typeChangeCases, ...manyLayerCases]));
void t.test('names and listings', (sub) => conform(sub, [...nameCases, ...readdirCases, ...ownCases, ...foundCases]));
void t.test('programs, long paths and flags', (sub) => conform(sub, [...objectCases, ...protectionCases]));
void t.test('what is seldom done', (sub) => conform(sub, seldomCases));
void t.test('the root', (sub) => conform(sub, rootCases));
void t.test('read-only unions', (sub) => conform(sub, readOnlyCases));
