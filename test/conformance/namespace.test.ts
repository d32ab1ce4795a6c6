// Namespace operations on every state of their object; see cases/namespace.ts.

import t from 'tap';
import { absentCases, dirCases, fileCases } from './cases/namespace.js';
import { conform } from './run.js';

// A hang is found by the limits of the single operations; this one is for all of them together.
t.setTimeout(300_000);

void t.test('namespace', (sub) => conform(sub, [...fileCases, ...dirCases, ...absentCases]));
