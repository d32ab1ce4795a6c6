// Namespace operations on every state of their object; see cases/namespace.ts.

import t from 'tap';
import { absentCases, dirCases, fileCases } from './cases/namespace.js';
import { conform } from './run.js';

void t.test('namespace', (sub) => conform(sub, [...fileCases, ...dirCases, ...absentCases]));
