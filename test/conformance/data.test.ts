// File contents; see cases/data.ts.

import t from 'tap';
import { copyRangeCases, copyUpCases, fileDataCases, holeCases, openDirCases, tmpfileCases } from './cases/data.js';
import { conform } from './run.js';

void t.test('contents', (sub) => conform(sub, [...fileDataCases, ...copyUpCases, ...holeCases, ...copyRangeCases, ...tmpfileCases, ...openDirCases]));
