// Where the demo happens: a temporary directory with its own data and run directories, commands shown as typed with what
// they printed, and a way to leave nothing behind, also after a failure, Ctrl-C or a closed terminal. Called by main.ts.

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CHECKOUT = join(__dirname, '..', '..', '..');
/** A command that takes longer hangs, ms. */
const LIMIT = 60_000;
/** How long what was started may take to end by itself, ms. */
const END_LIMIT = 5_000;
const WIDTH = 100;

/** What a command did. `output` is stdout and stderr as they came. */
export interface Done {
  readonly code: number;
  readonly output: string;
}

/** A command line as one would type it, broken before options where it gets long. */
function asTyped(words: readonly string[]): string {
  const quoted = words.map((word) => (/^[\w./:=@,+-]+$/.test(word) ? word : `'${word}'`));
  const lines = [''];
  for (const word of quoted) {
    const line = lines.at(-1) ?? '';
    if (word.startsWith('-') && line.length > WIDTH - 30) {
      lines[lines.length - 1] = `${line} \\`;
      lines.push(`      ${word}`);
    } else {
      lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
    }
  }
  return lines.join('\n');
}

export class Stage {
  readonly dir = realpathSync(mkdtempSync(join(tmpdir(), 'lamina-demo-')));
  readonly container = `lamina-demo-${process.pid}`;
  readonly #env: NodeJS.ProcessEnv = {
    ...process.env,
    PATH: `${join(CHECKOUT, 'bin')}:${process.env['PATH'] ?? ''}`,
    LAMINA_ROOT: this.path('data'),
    LAMINA_RUN: this.path('run'),
  };

  constructor() {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));
    // The reader of a pipe may go: `npm start | head`.
    process.stdout.on('error', () => process.exit(1));
    process.on('exit', () => this.clear());
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  say(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  /** Shows a command and what it printed. Throws when it fails. */
  async show(...words: string[]): Promise<string> {
    this.say(`  $ ${asTyped(words)}`);
    return this.sayOutput(await this.must(words));
  }

  sayOutput(output: string): string {
    if (output !== '') this.say(output.trimEnd().replace(/^/gm, '    '));
    return output;
  }

  /** Runs a command that is not shown; its output. Throws when it fails. */
  async must(words: readonly string[]): Promise<string> {
    const done = await this.run(words);
    if (done.code !== 0) throw new Error(`exit ${done.code} of: ${words.join(' ')}\n${done.output.trim()}`);
    return done.output;
  }

  /** Runs a command in the stage's directory. */
  run(words: readonly string[]): Promise<Done> {
    return new Promise((resolve, reject) => {
      // One pipe for both keeps what was printed in order.
      const child = spawn('/bin/sh', ['-c', 'exec "$@" 2>&1', 'sh', ...words], {
        cwd: this.dir,
        env: this.#env,
        timeout: LIMIT,
        killSignal: 'SIGKILL',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      let output = '';
      child.stdout.on('data', (data: Buffer) => void (output += data.toString()));
      child.on('error', reject);
      child.on('close', (code, signal) => {
        if (signal === null) resolve({ code: code ?? 1, output });
        else reject(new Error(`${words.join(' ')}: ended by ${signal}\n${output}`));
      });
    });
  }

  #mounts(): string[] {
    return readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[1] ?? '')
      .filter((point) => point.startsWith(`${this.dir}/`));
  }

  /** What the demo started and what that started: all have the stage's run directory in their environment. */
  #processes(): number[] {
    const mark = `LAMINA_RUN=${this.path('run')}\0`;
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .filter((name) => {
        try {
          return readFileSync(`/proc/${name}/environ`, 'latin1').includes(mark);
        } catch {
          return false;
        }
      })
      .map(Number);
  }

  #signal(name: NodeJS.Signals): void {
    for (const pid of this.#processes()) {
      try {
        process.kill(pid, name);
      } catch {
        // It has ended.
      }
    }
  }

  /** Ends and removes everything. Waits without the event loop: this is the last thing that the process does. */
  clear(): void {
    if (!existsSync(this.dir)) return;
    if (existsSync(this.path('runc'))) {
      spawnSync('runc', ['--root', this.path('runc'), 'delete', '--force', this.container], { timeout: LIMIT, stdio: 'ignore' });
    }
    // A server that gets SIGTERM unmounts and ends; one that was just starting ends before it mounts.
    this.#signal('SIGTERM');
    const nap = new Int32Array(new SharedArrayBuffer(4));
    for (const start = Date.now(); this.#processes().length > 0 && Date.now() - start < END_LIMIT;) Atomics.wait(nap, 0, 0, 20);
    this.#signal('SIGKILL');
    for (const point of this.#mounts().reverse()) spawnSync('umount', ['-l', point], { timeout: LIMIT });
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** What is left of it all; empty when nothing. */
  left(): string[] {
    return [
      ...this.#mounts().map((point) => `mount ${point}`),
      ...this.#processes().map((pid) => `process ${pid}`),
      ...readdirSync(tmpdir())
        .filter((name) => this.dir.endsWith(`/${name}`))
        .map((name) => `directory ${name}`),
    ];
  }
}
