// What the fuzzer serves: a union with everything that layers may hold, routes of every kind, and around them files that
// nobody may touch, whose times, content and names are compared at the end. On a tmpfs of its own, so that reading shows.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, lstatSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { sys } from '../../src/native/load.js';
import { MNT_DETACH, Mode } from '../../src/native/syscalls.js';
import type { MountPlan, RoutePlan } from '../../src/transport/plan.js';
import { scratchDir } from '../support/paths.js';
import { type Spec, build, dir, file, must, node, symlink, whiteout, withXattrs } from '../union/disk.js';

export const MODES = ['union', 'routes', 'sealed', 'read-only', 'single', 'rootless', 'mapped'] as const;
export type FuzzMode = (typeof MODES)[number];

/** In every file outside of the layers; no reply may hold it. */
export const SECRET = 'OUTSIDE-THE-LAYERS';

const MAJOR_1_MINOR_3 = 0x103n;

function lower(scheme: string): Spec {
  return {
    f: 'lower file',
    big: 'B'.repeat(70_000),
    'd/f': 'in d',
    'd/e/f': 'in e',
    'd/e/g/h/i': 'deep',
    'w/gone': 'hidden',
    'w/stays': 'x',
    'o/under': 'x',
    'empty/': '',
    out: symlink('../../outside/secret'),
    loop: symlink('loop'),
    pipe: node(Mode.FIFO | 0o644),
    socket: node(Mode.SOCK | 0o644),
    device: node(Mode.CHR | 0o666, MAJOR_1_MINOR_3),
    suid: file('suid', 0o6755),
    attributed: withXattrs(file('x'), { 'user.a': 'b', [`${scheme}.overlay.origin`]: 'x' }),
  };
}

function upperOf(scheme: string): Spec {
  return {
    u: 'upper file',
    'w/gone': whiteout(),
    o: withXattrs(dir(), { [`${scheme}.overlay.opaque`]: 'y' }),
    'o/own': 'x',
    'moved/': '',
    'd/new': 'new',
  };
}

/** A listing with everything stat shows of a tree, links unfollowed. */
function survey(root: string, into: string[] = []): string[] {
  const stat = lstatSync(root, { bigint: true });
  const content = stat.isFile() ? readFileSync(root, 'latin1') : stat.isSymbolicLink() ? readlinkSync(root) : '';
  into.push([root, stat.mode, stat.uid, stat.gid, stat.nlink, stat.size, stat.mtimeNs, stat.ctimeNs, content].join(' '));
  if (stat.isDirectory()) for (const name of readdirSync(root).sort()) survey(join(root, name), into);
  return into;
}

/** Times of last reading, taken before anything here is read. */
function readTimes(paths: readonly string[]): string {
  return paths.map((path) => `${path} ${lstatSync(path, { bigint: true }).atimeNs}`).join('\n');
}

export class World {
  readonly dir = scratchDir();
  readonly plan: MountPlan;
  readonly #outside: string;
  readonly #before: string[];
  readonly #read: string;
  readonly #lowers: string[];

  constructor(readonly mode: FuzzMode) {
    must(sys.mount('fuzz', this.dir, 'tmpfs', 1 << 24 /* MS_STRICTATIME */, 'size=256m'), 'tmpfs');
    const path = (...names: string[]): string => join(this.dir, ...names);
    const scheme = mode === 'rootless' ? 'user' : 'trusted';
    this.#outside = path('outside');
    mkdirSync(this.#outside);
    build(this.#outside, { secret: SECRET, 'd/secret': SECRET });
    const layers = mode === 'single' ? [lower(scheme)] : [{ 'd/f': 'top', 'd/t/x': 'x', t: 'top' }, lower(scheme)];
    this.#lowers = layers.map((spec, i) => {
      mkdirSync(path('l', String(i)), { recursive: true });
      build(path('l', String(i)), spec);
      return path('l', String(i));
    });
    // Two names of one file, which copy-up must keep together.
    const bottom = this.#lowers[this.#lowers.length - 1] ?? '';
    execFileSync('ln', [join(bottom, 'f'), join(bottom, 'd', 'linked')]);
    for (const each of ['upper', 'work', 'volume', 'sealed-volume']) mkdirSync(path(each));
    if (mode !== 'single') build(path('upper'), upperOf(scheme));
    const content: Spec = { v: 'volume', 'd/e/f': 'x', pipe: node(Mode.FIFO | 0o644), out: symlink('../outside/secret') };
    build(path('volume'), content);
    build(path('sealed-volume'), content);
    const route = (source: string, destination: string, readOnly: boolean): RoutePlan => ({
      source: path(source),
      destination,
      readOnly,
      tier: mode === 'rootless' ? 'relay' : 'passthrough',
    });
    const withUpper = !['read-only', 'single'].includes(mode);
    const some = ['routes', 'sealed', 'rootless', 'mapped'].includes(mode);
    this.plan = {
      target: '/',
      source: 'fuzz',
      flags: [],
      mountRoutes: false,
      lowers: this.#lowers,
      upper: withUpper ? path('upper') : undefined,
      work: withUpper ? path('work') : undefined,
      routes: some
        ? [
            route('volume', '/vol', false),
            route('sealed-volume', '/d/ro', true),
            route('sealed-volume/v', '/conf', true),
            route('volume/v', '/vol/nested', false),
          ]
        : [],
      readOnly: mode === 'sealed' || !withUpper,
      scheme,
      volatile: true,
      passthrough: true,
      timeout: 1,
      posixAcl: true,
      ids:
        mode === 'mapped'
          ? { uidMap: [0, 1000, 1, 1, 110000, 1000], gidMap: [0, 1000, 1, 1, 110000, 1000] }
          : { uidMap: [], gidMap: [] },
    };
    this.#before = this.#untouchable();
    this.#read = this.#readTimes();
  }

  /** Everything that stays as it is: what is outside, lowers, sealed volumes, an upper that may not be written. */
  #untouchable(): string[] {
    const roots = [this.#outside, ...this.#lowers, join(this.dir, 'sealed-volume')];
    return roots.flatMap((root) => survey(root));
  }

  #readTimes(): string {
    return readTimes([
      this.#outside,
      join(this.#outside, 'secret'),
      join(this.#outside, 'd'),
      join(this.#outside, 'd', 'secret'),
    ]);
  }

  /** What was touched that may not be; empty when nothing. */
  touched(): string[] {
    const read = this.#readTimes();
    const now = this.#untouchable();
    const changed = now.filter((line) => !this.#before.includes(line));
    const missing = this.#before.filter((line) => !now.includes(line)).map((line) => `was: ${line}`);
    const strange = readdirSync(this.dir).filter(
      (name) => !['l', 'upper', 'work', 'volume', 'sealed-volume', 'outside'].includes(name),
    );
    return [...changed, ...missing, ...(read === this.#read ? [] : [`read: ${read}`]), ...strange.map((name) => `made: ${name}`)];
  }

  dispose(): void {
    sys.umount2(this.dir, MNT_DETACH);
    rmSync(this.dir, { recursive: true, force: true });
  }
}
