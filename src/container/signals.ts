// Signals as users name them: TERM, SIGTERM, 15, RTMIN+3.

import { constants } from 'node:os';
import { badParameter } from './errors.js';

export const SIGKILL = 9;
const SIGRTMIN = 34;
const SIGRTMAX = 64;

/** The number of a signal. Errors: 400, Docker's words. */
export function parseSignal(text: string): number {
  const invalid = (): Error => badParameter(`invalid signal: ${text}`);
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    if (number < 1 || number > SIGRTMAX) throw invalid();
    return number;
  }
  const name = text.toUpperCase().replace(/^SIG/, '');
  const realtime = /^RTM(IN\+|AX-)(\d+)$/.exec(name);
  if (name === 'RTMIN') return SIGRTMIN;
  if (name === 'RTMAX') return SIGRTMAX;
  if (realtime) return realtime[1] === 'IN+' ? SIGRTMIN + Number(realtime[2]) : SIGRTMAX - Number(realtime[2]);
  const number = (constants.signals as Readonly<Record<string, number>>)[`SIG${name}`];
  if (number === undefined) throw invalid();
  return number;
}
