// Mounts for tests: a stack of layers on disk, shown as a plain directory, by kernel overlayfs or by mount.lamina, or as
// the volume that a plain directory is, with a child process to run operations in it. Whatever happens, nothing of it stays: see `Rig.dispose`, `leaks`.

import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { runDirectory } from '../../src/process/run-directory.js';
import { abortFuse, command, mountTable, mustCommand, processesWith, signal, waitFor } from './command.js';
import { lostNodes } from './lost-nodes.js';
import { checkout, scratchDir, scratchRoot, testTag } from './paths.js';
import { buildOps, merge, nest, withoutMarks } from './tree.js';
import type { Stack } from './tree.js';
import { Worker } from './worker.js';

/**
 * plain: the union made as an ordinary directory · bind: that directory, bound elsewhere · overlay: the kernel's ·
 * lamina: bin/mount.lamina · relay: the same, data through the server · volume, relay-volume: the plain directory as a
 * volume of a root, by the tier's name.
 */
export type Kind = 'plain' | 'bind' | 'overlay' | 'lamina' | 'relay' | 'volume' | 'relay-volume';

const VOLUME_TIERS: Partial<Readonly<Record<Kind, string>>> = { volume: 'passthrough', 'relay-volume': 'relay' };
const isUnion = (kind: Kind): boolean => kind === 'lamina' || kind === 'relay';
/** Those whose content is one directory, not layers. */
const isWhole = (kind: Kind): boolean => kind === 'plain' || kind === 'bind' || kind in VOLUME_TIERS;

/** The layers of a rig on disk; `lower` is topmost first. */
export interface Dirs {
  readonly lower: readonly string[];
  readonly upper?: string;
  readonly work?: string;
}

/** The program under test; LAMINA_MOUNT_PROGRAM names another with fuse-overlayfs's arguments, to compare a peer. */
export const mountProgram = process.env['LAMINA_MOUNT_PROGRAM'] ?? join(checkout, 'bin', 'mount.lamina');

const lamina = join(checkout, 'bin', 'lamina');

/** Parts of a stack go below these directories of each layer, so that many cases can share one mount. */
export type Parts = ReadonlyMap<string, Stack>;

/** disk: where the scratch directories are · tmpfs: one for the rig · apart: one for each layer. */
export type Medium = 'disk' | 'tmpfs' | 'apart';

export interface RigOptions {
  /** Further mount options, of fuse-overlayfs and the kernel alike. */
  readonly mount?: readonly string[];
  readonly medium?: Medium;
}

/** One stack on disk and its mount, if it is up. */
export class Rig {
  readonly root = scratchDir();
  readonly point: string;
  private layers: Dirs = { lower: [] };
  private tops = 0;
  private child: Worker | undefined;
  private aborted = false;
  private lost: string | undefined;

  private constructor(
    readonly kind: Kind,
    readonly writable: boolean,
    private readonly options: RigOptions,
  ) {
    this.point = kind in VOLUME_TIERS ? join(this.root, 'container', 'mnt') : join(this.root, 'mnt');
  }

  /** What is mounted and unmounted: a volume's root. */
  private get target(): string {
    return this.kind in VOLUME_TIERS ? dirname(this.point) : this.point;
  }

  /** Where its server has its record. */
  private get run(): string {
    return this.kind in VOLUME_TIERS ? join(this.root, 'run') : runDirectory();
  }

  /** Where the content of a kind without layers lies. */
  private get content(): string {
    return this.kind === 'plain' ? this.point : join(this.root, 'content');
  }

  /** lamina, whose upper the kernel must be able to read. */
  get union(): boolean {
    return isUnion(this.kind);
  }

  get dirs(): Dirs {
    return this.layers;
  }

  private async makeDirectories(layers: number): Promise<void> {
    if ((this.options.medium ?? 'disk') !== 'disk') await mustCommand(['mount', '-t', 'tmpfs', 'rig', this.root]);
    mkdirSync(this.target);
    if (isWhole(this.kind) && this.kind !== 'plain') mkdirSync(this.content);
    const lower = Array.from({ length: layers }, (_, i) => join(this.root, `l${i}`));
    for (const dir of lower) await this.makeLayer(dir);
    this.layers = { lower, ...(this.writable || isWhole(this.kind) ? await this.makeTop() : {}) };
  }

  private async makeLayer(dir: string): Promise<void> {
    mkdirSync(dir);
    if (this.options.medium === 'apart') await mustCommand(['mount', '-t', 'tmpfs', 'layer', dir]);
  }

  private async makeTop(): Promise<{ upper: string; work: string }> {
    const top = join(this.root, `top${this.tops++}`);
    await this.makeLayer(top);
    const made = { upper: join(top, 'upper'), work: join(top, 'work') };
    for (const dir of Object.values(made)) mkdirSync(dir);
    return made;
  }

  /** Makes upper the topmost lower of the next mount, which gets a new one: what a commit of an image does. */
  async rotate(): Promise<void> {
    const { lower, upper } = this.layers;
    if (isWhole(this.kind) || upper === undefined) return;
    this.layers = { lower: [upper, ...lower], ...(await this.makeTop()) };
  }

  /** Builds the layers (for plain: the union itself) on disk. The caller disposes of the rig. */
  static async build(kind: Kind, parts: Parts, options: RigOptions = {}): Promise<Rig> {
    const stacks = [...parts.values()];
    const layers = Math.max(1, ...stacks.map((stack) => stack.lower.length));
    const rig = new Rig(
      kind,
      stacks.every((stack) => stack.upper !== null),
      options,
    );
    try {
      await rig.makeDirectories(layers);
      for (const [part, stack] of parts) await rig.fill(part, stack);
      return rig;
    } catch (cause) {
      await rig.dispose();
      throw cause;
    }
  }

  /** The process that works in this mount; a new one after the last was ended or killed. */
  get worker(): Worker {
    this.child ??= new Worker();
    return this.child;
  }

  async up(): Promise<void> {
    const { mount = [] } = this.options;
    const env = { LAMINA_TEST_RIG: this.root };
    if (this.kind in VOLUME_TIERS) await this.upVolume(env);
    else if (isWhole(this.kind)) await this.upPlain();
    else if (this.kind === 'overlay') await mountOverlay(this.dirs, this.point, mount);
    else await mountLamina(this.dirs, this.point, env, this.kind === 'relay' ? ['nopassthrough', ...mount] : mount);
  }

  /** Unmounts, and waits for the server to end. Throws when either does not happen by itself, or it had lost nodes. */
  async down(): Promise<void> {
    await this.endWorker();
    this.lost ??= await lostNodes(this.run, this.target);
    if (this.mounted()) await mustCommand(['umount', '-R', this.target]);
    await waitFor(`the server of ${this.point} to end`, () => processesWith(`LAMINA_TEST_RIG=${this.root}`).length === 0, 30_000);
    if (this.lost !== undefined) throw new Error(`the server of ${this.point} held ${this.lost}`);
  }

  mounted(): boolean {
    return mountTable().some((entry) => entry.point === this.target);
  }

  /** Ends the worker, by force when it hangs in the mount. */
  async endWorker(): Promise<void> {
    await this.child?.end();
    this.child = undefined;
  }

  /** Fails every request in flight, so that processes which hang in the mount can end. */
  abort(): void {
    this.aborted = true;
    abortFuse(this.point);
    abortFuse(this.target);
  }

  /**
   * Removes the mount, the server and the directories, by force where needed. Does not throw for a broken mount, but for
   * nodes that the server had lost.
   */
  async dispose(): Promise<void> {
    await this.endWorker();
    const clean =
      !this.aborted &&
      (await this.down().then(
        () => true,
        () => false,
      ));
    if (!clean) {
      this.abort();
      for (let tries = 0; tries < 10 && this.mounted(); tries++) await command(['umount', '-l', this.target]);
      for (const pid of processesWith(`LAMINA_TEST_RIG=${this.root}`)) signal(pid, 'SIGKILL');
    }
    for (const { point } of mountTable().reverse()) if (isInside(point, this.root)) await command(['umount', '-l', point]);
    if ((await command(['rm', '-rf', '--one-file-system', this.root], { limitMs: 60_000 })).code !== 0) {
      await command(['chattr', '-Rf', '-ia', this.root]); // a case has left immutable files
      await mustCommand(['rm', '-rf', '--one-file-system', this.root], { limitMs: 600_000 });
    }
    if (this.lost !== undefined) throw new Error(`the server of ${this.point} held ${this.lost}`);
  }

  private async upPlain(): Promise<void> {
    if (this.writable && this.kind === 'plain') return;
    await mustCommand(['mount', '--bind', this.content, this.point]);
    if (!this.writable) await mustCommand(['mount', '-o', 'remount,bind,ro', this.point]);
  }

  private async upVolume(env: Readonly<Record<string, string>>): Promise<void> {
    const { lower, upper = '', work = '' } = this.layers;
    const volume = `${this.content}:/${basename(this.point)}${this.writable ? '' : ':ro'}`;
    const layers = ['--lower', lower.join(':'), '--upper', upper, '--work', work];
    const places = { LAMINA_RUN: this.run, LAMINA_ROOT: join(this.root, 'data') };
    const tier = VOLUME_TIERS[this.kind] ?? '';
    await mustCommand([lamina, 'mount', ...layers, '-v', volume, '--bypass', tier, this.target], { env: { ...env, ...places } });
  }

  private async fill(part: string, stack: Stack): Promise<void> {
    if (isWhole(this.kind)) {
      await this.worker.must(this.content, buildOps(withoutMarks(merge(stack)), part), 60_000);
      return;
    }
    const offset = stack.upper ? 1 : 0;
    for (const [i, layer] of stack.lower.entries()) {
      await this.worker.must(join(this.root, `l${i}`), buildOps(nest(layer, i + offset), part), 60_000);
    }
    if (stack.upper) await this.worker.must(this.layers.upper ?? '', buildOps(nest(stack.upper, 0), part), 60_000);
  }
}

function isInside(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

function layerOptions(dirs: Dirs): string[] {
  const options = [`lowerdir=${dirs.lower.join(':')}`];
  if (dirs.upper !== undefined) options.push(`upperdir=${dirs.upper}`, `workdir=${dirs.work ?? ''}`);
  return options;
}

/** Mounts kernel overlayfs with the features whose behaviour lamina has: redirects and the hard-link index. */
export async function mountOverlay(dirs: Dirs, point: string, extra: readonly string[] = []): Promise<void> {
  const features = dirs.upper === undefined ? ['redirect_dir=follow'] : ['redirect_dir=on', 'index=on', 'metacopy=off'];
  // Without an upper the kernel wants two lowers.
  const empty = `${point}-empty`;
  const alone = dirs.upper === undefined && dirs.lower.length === 1;
  if (alone && !existsSync(empty)) mkdirSync(empty);
  const shown = alone ? { lower: [...dirs.lower, empty] } : dirs;
  const options = [...layerOptions(shown), ...features, ...extra].join(',');
  await mustCommand(['mount', '-t', 'overlay', 'overlay', '-o', options, point]);
}

/** Starts mount.lamina (which goes to the background) on `dirs`; `env` lets the server be found again. */
export async function mountLamina(
  dirs: Dirs,
  point: string,
  env: Readonly<Record<string, string>>,
  extra: readonly string[] = [],
): Promise<void> {
  await mustCommand([mountProgram, '-o', [...layerOptions(dirs), ...extra].join(','), point], { env });
  await waitFor(`${point} to be mounted`, () => mountTable().some((entry) => entry.point === point));
}

/** Builds `stack`, mounts it as `kind`, calls `use` and removes everything again, also when `use` throws. */
export async function withMount<T>(kind: Kind, stack: Stack, use: (rig: Rig) => Promise<T>): Promise<T> {
  const rig = await Rig.build(kind, new Map([['.', stack]]));
  try {
    await rig.up();
    return await use(rig);
  } finally {
    await rig.dispose();
  }
}

const probes = new Map<Kind, Promise<string | undefined>>();

async function probe(kind: Kind): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'not root: device nodes, owners and trusted xattrs cannot be made';
  if ((await command(['python3', '-c', 'import ctypes'])).code !== 0) return 'no python3 to run the operations';
  if (isUnion(kind) || kind in VOLUME_TIERS) {
    if (!existsSync('/dev/fuse')) return 'no /dev/fuse';
    try {
      if (mountProgram.includes('/')) accessSync(mountProgram, constants.X_OK);
    } catch {
      return `no ${mountProgram}`;
    }
  }
  return withMount(kind, { lower: [{}] }, () => Promise.resolve(undefined)).catch(
    (cause: unknown) => `cannot mount ${kind}: ${String(cause)}`,
  );
}

/** Why mounts of this kind cannot be tested here; undefined when they can. */
export function unavailable(kind: Kind): Promise<string | undefined> {
  const known = probes.get(kind) ?? probe(kind);
  probes.set(kind, known);
  return known;
}

/** Set where every test must run (CI): a reason to skip is then a failure. */
export const privilegedRequired = process.env['LAMINA_REQUIRE_PRIVILEGED'] === '1';

const ownMounts = (): string[] =>
  mountTable()
    .map((entry) => entry.point)
    .filter((point) => point.includes(`/${testTag}-`));
const ownDirs = (): string[] => readdirSync(scratchRoot).filter((name) => name.startsWith(`${testTag}-`));
const ownServers = (): number[] => processesWith(`LAMINA_TEST_RIG=${join(scratchRoot, testTag)}-`);

/** What this process's rigs left behind; empty when nothing. */
export function leaks(): string[] {
  return [
    ...ownMounts().map((point) => `mount ${point}`),
    ...ownServers().map((pid) => `server ${pid}`),
    ...ownDirs().map((name) => `directory ${name}`),
  ];
}

/** A test that is killed, by its own time limit for one, takes its mounts along. */
function removeAll(): void {
  for (const point of ownMounts()) {
    abortFuse(point);
    spawnSync('umount', ['-l', point], { timeout: 5_000 });
  }
  for (const pid of ownServers()) signal(pid, 'SIGKILL');
  for (const name of ownDirs()) {
    const dir = join(scratchRoot, name);
    spawnSync('chattr', ['-Rf', '-ia', dir], { timeout: 30_000 });
    spawnSync('rm', ['-rf', '--one-file-system', dir], { timeout: 30_000 });
  }
}

process.on('exit', removeAll);
// SIGALRM is what tap sends first.
for (const signal of ['SIGALRM', 'SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(1));
