// Loaded into the daemon and the supervisor (`node --require`) by tests that kill them: counts the steps by which they change
// the world (files, records, processes, calls to each other) and ends the process with SIGKILL at the one that was asked for.
// SIGUSR2 makes it read its orders from LAMINA_KILL_ORDERS.<role>; see kill-rig.ts.

import childProcess from 'node:child_process';
import fs from 'node:fs';
import Module from 'node:module';
import net from 'node:net';

export interface KillOrders {
  /** Number of the step to die at, from 1; none counts only. */
  readonly at?: number;
  /** Where the steps are to be written when the next orders come. */
  readonly trace?: string;
}

type Anything = (...args: unknown[]) => unknown;
type Methods = Record<string, Anything | undefined>;

const base = process.env['LAMINA_KILL_ORDERS'] ?? '';
const script = process.argv[1] ?? '';
const role = script.endsWith('supervisor-main.js')
  ? 'supervisor'
  : script.endsWith('start-lamina.js') && process.argv[2] === 'daemon'
    ? 'daemon'
    : undefined;

const real = { read: fs.readFileSync, write: fs.writeFileSync, rename: fs.renameSync };
let orders: KillOrders | undefined;
let steps: string[] = [];

function step(name: string): void {
  if (!orders) return;
  steps.push(name);
  if (steps.length === orders.at) process.kill(process.pid, 'SIGKILL');
}

/** Counts calls of a method, before it does anything; those that go on after they return count once more by then. */
function count(owner: object, name: string, kind: 'sync' | 'async', counts: (args: unknown[]) => boolean = () => true): void {
  const methods = owner as Methods;
  const original = methods[name];
  if (typeof original !== 'function') throw new Error(`no method ${name}`);
  methods[name] = function (this: unknown, ...args: unknown[]): unknown {
    if (!counts(args)) return original.apply(this, args);
    const shown = `${name} ${String(typeof args[1] === 'string' && typeof args[0] === 'number' ? args[1] : args[0]).slice(-90)}`;
    step(shown);
    const result = original.apply(this, args);
    if (kind === 'async') step(`${shown} (begun)`);
    return result;
  };
}

const WRITING = /[wa+]/;
const O_CREAT = 0o100;
const FILES = [
  'mkdirSync',
  'rmdirSync',
  'rmSync',
  'unlinkSync',
  'renameSync',
  'chmodSync',
  'chownSync',
  'utimesSync',
  'symlinkSync',
];
const CALLS =
  'mkdirat mknodat symlinkat linkat unlinkat renameat2 fchownat fchmodat utimensat setxattr removexattr copyData syncfs syncfsAsync mount umount2';

function watch(): void {
  for (const name of FILES) count(fs, name, 'sync');
  count(fs, 'writeFileSync', 'sync', ([path]) => path !== 2);
  count(fs, 'openSync', 'sync', ([, flags]) => typeof flags === 'string' && WRITING.test(flags));
  count(fs, 'createWriteStream', 'async');
  for (const name of ['spawn', 'execFile']) count(childProcess, name, 'async');
  count(net.Socket.prototype, 'write', 'async', ([text]) => typeof text === 'string' && /^\{"(id|event)":/.test(text));
  const loader = Module as unknown as { _load: (request: string, ...rest: unknown[]) => unknown };
  const load = loader._load.bind(loader);
  const seen = new Set<unknown>();
  loader._load = (request, ...rest) => {
    const loaded = load(request, ...rest);
    if (seen.has(loaded)) return loaded;
    if (request === 'level') {
      seen.add(loaded);
      for (const name of ['batch', 'put']) count((loaded as { Level: { prototype: object } }).Level.prototype, name, 'async');
    }
    if (request.endsWith('lamina.node')) {
      seen.add(loaded);
      const { sys } = loaded as { sys: object };
      for (const name of CALLS.split(' ')) count(sys, name, 'sync');
      count(sys, 'openat2', 'sync', ([, , flags]) => (Number(flags) & O_CREAT) !== 0);
    }
    return loaded;
  };
  process.on('SIGUSR2', () => {
    if (orders?.trace !== undefined) real.write(orders.trace, steps.join('\n'));
    orders = JSON.parse(real.read(`${base}.${role ?? ''}`, 'utf8')) as KillOrders;
    steps = [];
    real.rename(`${base}.${role ?? ''}`, `${base}.${role ?? ''}.taken`);
  });
}

if (role !== undefined && base !== '') watch();
