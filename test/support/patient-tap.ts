// Preloaded by bin/test-sanitize: the limits that tests give to tap are stretched as all others are (patience.ts).

import t, { Base } from 'tap';
import { patient } from './patience.js';

const setTimeout = Base.prototype.setTimeout;

Base.prototype.setTimeout = function (ms: number): void {
  setTimeout.call(this, patient(ms));
};

// That of the file runs already.
t.setTimeout(t.options.timeout ?? 0);
