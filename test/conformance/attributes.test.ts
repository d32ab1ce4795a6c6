// Attributes, permissions, xattrs and ACLs; see cases/attributes.ts and cases/xattrs.ts.

import t from 'tap';
import { killPrivCases, permissionCases, setattrCases, sizeCases, typeCases } from './cases/attributes.js';
import { aclCases, markCases, xattrCases } from './cases/xattrs.js';
import { conform } from './run.js';

// A hang is found by the limits of the single operations; this one is for all of them together.
t.setTimeout(300_000);

void t.test('attributes', (sub) =>
  conform(sub, [...setattrCases, ...typeCases, ...sizeCases, ...killPrivCases, ...permissionCases]),
);
void t.test('xattrs', (sub) => conform(sub, [...xattrCases, ...markCases, ...aclCases]));
