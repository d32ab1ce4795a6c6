// File contents; see cases/data.ts.

import t from 'tap';
import { copyRangeCases, copyUpCases, fileDataCases, holeCases, openDirCases, tmpfileCases } from './cases/data.js';
import { conform } from './run.js';

// A hang is found by the limits of the single operations; this one is for all of them together.
t.setTimeout(300_000);

void t.test('contents', (sub) =>
  conform(sub, [...fileDataCases, ...copyUpCases, ...holeCases, ...copyRangeCases, ...tmpfileCases, ...openDirCases]),
);
