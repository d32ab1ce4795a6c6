// Operations of a union stopped before each system call that changes a disk, whichever thread makes it: to look at what
// a crash there would leave, to make that call fail, or to kill. Called by stages.test.ts.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { errno } from '../../src/abi/errno.js';
import { Rename } from '../../src/native/syscalls.js';
import type { MountPlan } from '../../src/transport/plan.js';
import { checkout } from '../support/paths.js';
import type { Client } from './client.js';

/** An operation of stage-host.ts: its name, a path, and what else it needs. */
export type Step = readonly [
  name:
    'link' | 'truncate' | 'openTruncating' | 'rename' | 'symlink' | 'write' | 'chmod' | 'mkdir' | 'create' | 'unlink' | 'rmdir',
  path: string,
  ...rest: (string | number)[],
];

export interface Dirs {
  readonly upper: string;
  readonly work: string;
  readonly lowers: readonly string[];
}

/** Every object by path, with what a crash must not change: for files times too, for directories not. */
export type View = Record<string, string>;

export function planOf({ upper, work, lowers }: Dirs): MountPlan {
  return {
    target: '/',
    source: 'test',
    flags: [],
    mountRoutes: false,
    lowers: [...lowers],
    upper,
    work,
    routes: [],
    readOnly: false,
    scheme: 'trusted',
    volatile: false,
    passthrough: false,
    timeout: 1,
    posixAcl: true,
    ids: { uidMap: [], gidMap: [] },
  };
}

/** `inos`: numbers are shown for the objects of these paths only, since a copied directory has new ones. */
export function viewOf(client: Client, inos: (path: string) => boolean = () => false, path = '', into: View = {}): View {
  for (const name of client.names(path)) {
    const below = path === '' ? name : `${path}/${name}`;
    const found = client.lookup(below);
    if (typeof found === 'number') {
      into[below] = `errno ${-found}`;
      continue;
    }
    const type = found.mode & 0o170000;
    const kept = `${found.mode.toString(8)} ${found.uid}:${found.gid}${inos(below) ? ` ino ${found.ino}` : ''}`;
    if (type === 0o040000) {
      into[below] = kept;
      viewOf(client, inos, below, into);
    } else {
      const content = type === 0o100000 ? client.read(below) : type === 0o120000 ? client.readlink(below) : '';
      into[below] = `${kept} nlink ${found.nlink} ${JSON.stringify(content)}`;
    }
  }
  return into;
}

type Answer = 'go' | 'kill' | `fail ${number}`;

/** Lines of a child, one at a time. */
class Lines {
  readonly #waiting: ((line: string | undefined) => void)[] = [];
  readonly #ready: (string | undefined)[] = [];

  constructor(child: ChildProcess) {
    const reader = createInterface({ input: child.stdout ?? process.stdin });
    reader.on('line', (line) => this.#give(line));
    reader.on('close', () => this.#give(undefined));
  }

  #give(line: string | undefined): void {
    const next = this.#waiting.shift();
    if (next) next(line);
    else this.#ready.push(line);
  }

  /** undefined at the end. */
  next(): Promise<string | undefined> {
    if (this.#ready.length > 0) return Promise.resolve(this.#ready.shift());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

/** Stops a running process before each call that changes a disk. */
export class Tracer {
  readonly #child: ChildProcess;
  readonly #lines: Lines;
  /** Asked at every stop, with the call's name and its fifth argument. */
  onStop: (call: string, fifth: number) => Answer = () => 'go';

  private constructor(pid: number) {
    this.#child = spawn('python3', ['-B', join(checkout, 'test', 'support', 'tracer.py'), String(pid)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#lines = new Lines(this.#child);
  }

  static async attach(pid: number): Promise<Tracer> {
    const tracer = new Tracer(pid);
    if ((await tracer.#lines.next()) === undefined) throw new Error(`process ${pid} cannot be traced`);
    void tracer.#serve();
    return tracer;
  }

  async #serve(): Promise<void> {
    for (let line = await this.#lines.next(); line !== undefined; line = await this.#lines.next()) {
      const [call, fifth] = JSON.parse(line) as [string, number];
      this.#child.stdin?.write(`${this.onStop(call, fifth)}\n`);
    }
  }

  /** The process runs on untraced. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}

/** A stage-host.ts under a tracer. */
export class Host {
  readonly #child = spawn(process.execPath, [join(__dirname, 'stage-host.js')], { stdio: ['pipe', 'pipe', 'inherit'] });
  readonly #lines = new Lines(this.#child);
  #tracer: Tracer | undefined;
  /** As on a filesystem that does not have it. */
  noWhiteoutRename = false;

  async #ask(line: unknown): Promise<unknown> {
    this.#child.stdin.write(`${JSON.stringify(line)}\n`);
    const given = await this.#lines.next();
    if (given === undefined) throw new Error('the host ended');
    return JSON.parse(given);
  }

  open(dirs: Dirs): Promise<View> {
    return this.#ask(dirs) as Promise<View>;
  }

  view(): Promise<View> {
    return this.#ask({ view: true }) as Promise<View>;
  }

  /** Runs `ops`, asking `onStop` before each call that changes a disk. 0 or the first error; undefined when it died. */
  async run(ops: readonly Step[], onStop: (call: string, number: number) => Answer = () => 'go'): Promise<number | undefined> {
    this.#tracer ??= await Tracer.attach(this.#child.pid ?? 0);
    let number = 0;
    this.#tracer.onStop = (call, fifth) => {
      if (call === 'renameat2' && fifth & Rename.WHITEOUT && this.noWhiteoutRename) return `fail ${errno.EINVAL}`;
      return onStop(call, number++);
    };
    this.#child.stdin.write(`${JSON.stringify({ ops })}\n`);
    const given = await this.#lines.next();
    this.#tracer.onStop = () => 'go';
    return given === undefined ? undefined : (JSON.parse(given) as number);
  }

  async end(): Promise<void> {
    const gone = this.#child.exitCode !== null || this.#child.signalCode !== null ? undefined : once(this.#child, 'exit');
    await this.#tracer?.end();
    this.#child.kill('SIGKILL');
    await gone;
  }
}

/** Copies upper and work to a new directory with all that layers consist of, hard links among it. */
export function copyLayers({ upper, work, lowers }: Dirs, to: string): Dirs {
  mkdirSync(to);
  const { status, stderr } = spawnSync('cp', ['-a', upper, work, to], { encoding: 'latin1' });
  if (status !== 0) throw new Error(`cp: ${stderr}`);
  return { upper: join(to, 'upper'), work: join(to, 'work'), lowers };
}
