// Locks on volumes exclude whoever else has the volume: another process, another mount, the host. In every tier, for POSIX,
// open-file-description and flock locks; waits can be broken off and deadlocks are seen.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import { mustCommand, waitFor } from '../support/command.js';
import { privilegedRequired, unavailable } from '../support/mounts.js';
import { checkout } from '../support/paths.js';
import { patient } from '../support/patience.js';
import { Root } from '../support/roots.js';

type Kind = 'posix' | 'ofd' | 'flock';
interface LockRequest {
  kind: Kind;
  type: 'r' | 'w' | 'u';
  start?: number;
  length?: number;
  wait?: boolean;
  alarm?: number;
}

const LIMIT = patient(20_000);

/** A process that owns locks. */
class Locker {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterableIterator<string>;

  constructor(private readonly path: string) {
    this.#child = spawn('python3', [join(checkout, 'test', 'support', 'locker.py')], { stdio: ['pipe', 'pipe', 'inherit'] });
    if (!this.#child.stdout) throw new Error('no pipe to the locker');
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  static async on(path: string, mode: 'r' | 'r+' = 'r+'): Promise<Locker> {
    const locker = new Locker(path);
    await locker.ask({ op: 'open', path, mode });
    return locker;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async ask(request: object): Promise<unknown> {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer about ${this.path}: ${JSON.stringify(request)}`)), LIMIT);
    });
    const answer = await Promise.race([this.#answers.next(), late]).finally(() => clearTimeout(timer));
    if (answer.done === true) throw new Error('the locker ended');
    return JSON.parse(answer.value) as unknown;
  }

  lock(request: LockRequest): Promise<unknown> {
    return this.ask({ op: 'lock', ...request });
  }

  /** Whether the process sleeps in the system call of its last request. */
  async sleeps(): Promise<void> {
    await waitFor('the locker to wait for its lock', async () => {
      const [call] = (await mustCommand(['cat', `/proc/${this.pid}/syscall`])).split(' ');
      return call === '72' || call === '73'; // fcntl, flock
    });
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill(signal);
    await ended;
  }
}

interface Rig {
  /** The same file as the host and two mounts see it. */
  host: string;
  one: string;
  two: string;
  locker(path: string, mode?: 'r' | 'r+'): Promise<Locker>;
}

async function testKind(t: Test, rig: Rig, kind: Kind): Promise<void> {
  await t.test(`${kind}: a lock of one mount keeps another process, another mount and the host out`, async (t) => {
    const holder = await rig.locker(rig.one);
    t.equal(await holder.lock({ kind, type: 'w' }), 'ok');
    for (const path of [rig.one, rig.two, rig.host]) {
      const other = await rig.locker(path);
      t.equal(await other.lock({ kind, type: 'w' }), 'EAGAIN', path);
      t.equal(await other.lock({ kind, type: 'r' }), 'EAGAIN', 'reading too');
    }
    t.equal(await holder.lock({ kind, type: 'u' }), 'ok');
    const reader = await rig.locker(rig.host);
    t.equal(await reader.lock({ kind, type: 'r' }), 'ok');
    t.equal(await holder.lock({ kind, type: 'r' }), 'ok', 'shared');
    t.equal(await holder.lock({ kind, type: 'w' }), 'EAGAIN', 'a lock of the host keeps us out');
    await reader.end();
    await waitFor('the end of the reader to free it', async () => (await holder.lock({ kind, type: 'w' })) === 'ok');
  });

  await t.test(`${kind}: who waits gets the lock when it is free, by unlock, close or death of the holder`, async (t) => {
    for (const how of ['unlock', 'close', 'death'] as const) {
      const holder = await rig.locker(rig.one);
      const waiter = await rig.locker(rig.two);
      t.equal(await holder.lock({ kind, type: 'w' }), 'ok');
      const waiting = waiter.lock({ kind, type: 'w', wait: true });
      await waiter.sleeps();
      if (how === 'unlock') t.equal(await holder.lock({ kind, type: 'u' }), 'ok');
      else if (how === 'close') await holder.ask({ op: 'close' });
      else await holder.end('SIGKILL');
      t.equal(await waiting, 'ok', how);
      await waiter.end();
    }
  });

  await t.test(`${kind}: a wait ends with a signal, and one whose process is killed leaves no lock`, async (t) => {
    const holder = await rig.locker(rig.one);
    t.equal(await holder.lock({ kind, type: 'w' }), 'ok');
    const waiter = await rig.locker(rig.two);
    t.equal(await waiter.lock({ kind, type: 'w', wait: true, alarm: 0.2 }), 'EINTR');
    const killed = await rig.locker(rig.two);
    void killed.lock({ kind, type: 'w', wait: true }).catch(() => undefined);
    await killed.sleeps();
    await killed.end('SIGKILL');
    t.equal(await holder.lock({ kind, type: 'u' }), 'ok');
    await waitFor('the lock to be free', async () => (await waiter.lock({ kind, type: 'w' })) === 'ok');
  });
}

async function testPosix(t: Test, rig: Rig): Promise<void> {
  await t.test('ranges split and join, and GETLK tells who is in the way', async (t) => {
    const holder = await rig.locker(rig.one);
    t.equal(await holder.lock({ kind: 'posix', type: 'w', start: 0, length: 100 }), 'ok');
    t.equal(await holder.lock({ kind: 'posix', type: 'u', start: 40, length: 20 }), 'ok');
    t.equal(await holder.lock({ kind: 'posix', type: 'r', start: 90, length: 10 }), 'ok');
    const other = await rig.locker(rig.one);
    t.strictSame(await other.ask({ op: 'get', start: 40, length: 20 }), 'free');
    t.strictSame(await other.ask({ op: 'get', start: 0, length: 0 }), ['w', 0, 40, holder.pid]);
    t.strictSame(await other.ask({ op: 'get', start: 95, length: 1 }), ['r', 90, 10, holder.pid]);
    t.equal(await other.lock({ kind: 'posix', type: 'w', start: 45, length: 10 }), 'ok');
    t.equal(await other.lock({ kind: 'posix', type: 'r', start: 90, length: 10 }), 'ok');
    t.equal(await other.lock({ kind: 'posix', type: 'w', start: 90, length: 10 }), 'EAGAIN');
    t.strictSame(
      await (await rig.locker(rig.host)).ask({ op: 'get', start: 45, length: 1 }).then((v) => (v as unknown[])[0]),
      'w',
    );
  });

  await t.test('closing any descriptor of the file drops the locks of its process, of nobody else', async (t) => {
    const holder = await rig.locker(rig.one);
    await holder.ask({ op: 'open', path: rig.one });
    t.equal(await holder.lock({ kind: 'posix', type: 'w', start: 0, length: 10 }), 'ok');
    const other = await rig.locker(rig.one);
    t.equal(await other.lock({ kind: 'posix', type: 'w', start: 10, length: 10 }), 'ok');
    await holder.ask({ op: 'close' });
    const third = await rig.locker(rig.two);
    t.strictSame(await third.ask({ op: 'get', start: 0, length: 10 }), 'free');
    t.equal(await third.lock({ kind: 'posix', type: 'w', start: 10, length: 10 }), 'EAGAIN');
  });

  await t.test('a process that ends frees its locks though a child shares its descriptors', async (t) => {
    const holder = await rig.locker(rig.one);
    t.equal(await holder.lock({ kind: 'posix', type: 'w' }), 'ok');
    await holder.ask({ op: 'fork-close' });
    const other = await rig.locker(rig.two);
    t.equal(await other.lock({ kind: 'posix', type: 'w' }), 'EAGAIN');
    await holder.ask({ op: 'close' });
    t.equal(await other.lock({ kind: 'posix', type: 'w' }), 'ok');
  });

  await t.test('a deadlock is refused, across mounts', async (t) => {
    const a = await rig.locker(rig.one);
    const b = await rig.locker(rig.two);
    t.equal(await a.lock({ kind: 'posix', type: 'w', start: 0, length: 1 }), 'ok');
    t.equal(await b.lock({ kind: 'posix', type: 'w', start: 1, length: 1 }), 'ok');
    const waiting = a.lock({ kind: 'posix', type: 'w', start: 1, length: 1, wait: true });
    await a.sleeps();
    t.equal(await b.lock({ kind: 'posix', type: 'w', start: 0, length: 1, wait: true }), 'EDEADLK');
    t.equal(await b.lock({ kind: 'posix', type: 'u', start: 0, length: 0 }), 'ok');
    t.equal(await waiting, 'ok');
  });

  await t.test('a file open for reading alone takes read locks', async (t) => {
    const reader = await rig.locker(rig.one, 'r');
    t.equal(await reader.lock({ kind: 'posix', type: 'r' }), 'ok');
    t.equal(await reader.lock({ kind: 'posix', type: 'w' }), 'EBADF');
    t.equal(await (await rig.locker(rig.host)).lock({ kind: 'posix', type: 'w' }), 'EAGAIN');
  });
}

/** One server mounts twice: what two containers of an engine are to each other. */
const PROGRAM = `
  const { MountServer } = require(${JSON.stringify(join(checkout, 'dist/src/transport/server.js'))});
  const { planMount } = require(${JSON.stringify(join(checkout, 'dist/src/transport/check.js'))});
  const [, ...requests] = process.argv;
  (async () => {
    const server = new MountServer(console.error);
    const mounts = [];
    for (const request of requests) mounts.push(await server.mount(planMount(JSON.parse(request))));
    console.log('ready');
    process.stdin.on('data', async () => { for (const each of mounts) await each.unmount(); process.exit(0); });
  })().catch((error) => { console.error(error); process.exit(1); });`;

for (const tier of ['bind', 'passthrough', 'relay'] as const) {
  void t.test(`${tier}: locks`, async (t) => {
    const missing = await unavailable('lamina');
    if (missing !== undefined && !privilegedRequired) return t.plan(0, missing);
    const root = new Root();
    const lockers: Locker[] = [];
    const second = root.path('second');
    for (const name of ['vol', 'second']) mkdirSync(root.path(name));
    writeFileSync(root.path('vol/f'), 'x'.repeat(200));
    const request = (target: string): string =>
      JSON.stringify({
        target,
        lowers: [root.path('lower')],
        bypass: tier,
        routes: [{ source: root.path('vol'), destination: '/data', readOnly: false }],
        ...(target === root.target ? { upper: root.upper, work: root.path('work') } : {}),
      });
    mkdirSync(root.path('lower/data'));
    const server = spawn('node', ['-e', PROGRAM, request(root.target), request(second)], {
      env: { ...process.env, ...root.env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = new Promise((resolve) => server.once('exit', resolve));
    t.teardown(async () => {
      for (const locker of lockers) await locker.end('SIGKILL');
      server.stdin.end('end\n');
      await ended;
      await root.dispose();
    });
    await new Promise((resolve) => server.stdout.once('data', resolve));
    const rig: Rig = {
      host: root.path('vol/f'),
      one: join(root.target, 'data/f'),
      two: join(second, 'data/f'),
      locker: async (path, mode) => {
        const locker = await Locker.on(path, mode);
        lockers.push(locker);
        return locker;
      },
    };
    t.afterEach(async () => {
      for (const locker of lockers.splice(0)) await locker.end('SIGKILL');
    });
    for (const kind of ['posix', 'ofd', 'flock'] as const) await testKind(t, rig, kind);
    await testPosix(t, rig);
    server.stdin.end('end\n');
    await ended;
    t.strictSame(root.mounts(), [], 'nothing stays mounted');
    return undefined;
  });
}
