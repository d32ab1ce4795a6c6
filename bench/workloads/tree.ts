// Work on trees of small files by the programs people use: tar, find, cp, du, git, rm, in a root of 20 layers.
// One round takes a target from a fresh mount through all of them; "cold" is a fresh mount after dropping all caches.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench, Case, Workload } from '../bench.js';
import { flatten, freshUpper, imageStack, writeTree } from '../fixtures.js';
import { describeFilesystem, dropCaches, settle } from '../host.js';
import { timeScript } from '../load.js';
import { run } from '../process.js';
import { mount, type Mounted, type Stack, type Target } from '../targets.js';

const layers = 20;

function seconds(id: string, title: string, cache: Case['cache']): Case {
  return { id, title, unit: 's', better: 'lower', cache, versus: ['overlay', 'fuse-overlayfs'] };
}

const cases = {
  untar: seconds('untar', 'tar -x of small files', 'cold'),
  find: seconds('find-upper', 'find with stat of the untarred tree', 'cold'),
  tar: seconds('tar-upper', 'tar -c of the untarred tree', 'cold'),
  findImage: seconds('find-image', 'find with stat of a tree in 20 layers', 'cold'),
  tarImage: seconds('tar-image', 'tar -c of a tree in 20 layers', 'cold'),
  copy: seconds('cp', 'cp -a of the untarred tree', 'warm'),
  usage: seconds('du', 'du -s of the copy', 'warm'),
  git: seconds('git', 'git init, add, commit', 'warm'),
  remove: seconds('rm', 'rm -rf of the copy', 'warm'),
};

const findAll = 'find . -printf "%s %m %T@ %p\\n" >/dev/null';
// through a pipe: GNU tar does not read the files when its output is /dev/null itself
const tarAll = 'tar c . | cat >/dev/null';
const fingerprint = (more: string): string => `tar c --sort=name --owner=0 --group=0 --numeric-owner ${more} . | sha256sum`;
const timeless = '--mtime=@0';
const gitCommit = 'git init -q . && git add -A && git -c user.name=bench -c user.email=bench@localhost commit -qm tree';

interface Fixture {
  /** The scratch file system discards freed blocks one by one. */
  trims: boolean;
  stack: Stack;
  archive: string;
  /** Fingerprints of the source tree with modification times and without. */
  tree: string;
  treeTimeless: string;
  /** Fingerprint of the image: paths and contents. */
  image: string;
}

async function prepare(bench: Bench): Promise<Fixture> {
  const files = bench.size(6000, 1200);
  bench.progress(`making ${files} files and ${layers} layers`);
  const stack = imageStack(bench, layers, files);
  const base = bench.directory();
  const [source, flat, archive] = [join(base, 'src'), join(base, 'flat'), join(base, 'tree.tar')];
  writeTree(source, files);
  flatten(stack, flat);
  await run(['tar', 'cf', archive, '-C', source, '.']);
  const image = await listing(join(flat, 'image'));
  const treeWith = (more: string): Promise<string> => run(['sh', '-ec', fingerprint(more)], { cwd: source });
  const trims = /\bdiscard\b/.test(await describeFilesystem(bench.scratch));
  return { trims, stack, archive, tree: await treeWith(''), treeTimeless: await treeWith(timeless), image };
}

/** Paths, sizes and file checksums: what of a merged directory does not depend on which layer's mtime it shows. */
function listing(path: string): Promise<string> {
  return run(['sh', '-ec', 'find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum'], { cwd: path });
}

/** A target with its own upper, mounted, and remounted cold on demand. */
class Subject {
  #mounted: Mounted | undefined;
  readonly #stack: Stack;
  readonly #at: string;

  constructor(
    readonly bench: Bench,
    readonly target: Target,
    readonly fixture: Fixture,
  ) {
    this.#stack = freshUpper(bench, fixture.stack);
    this.#at = join(bench.directory(), 'm');
    mkdirSync(this.#at);
    if (!target.command) flatten(fixture.stack, this.#at);
  }

  path(below: string): string {
    return join(this.#at, below);
  }

  /** Unmounts, drops all caches, mounts. */
  async cold(): Promise<void> {
    await this.end();
    await dropCaches('all');
    this.#mounted = await mount(this.bench.undo, this.target, this.#stack, this.#at);
    this.bench.commands.set(this.target.name, this.#mounted.command);
  }

  async end(): Promise<void> {
    await this.#mounted?.unmount();
    this.#mounted = undefined;
  }

  /** Unmounts; what the round wrote goes when the series has ended. */
  async dispose(): Promise<void> {
    await this.end();
    this.bench.discard(this.#at, this.#stack.upper, this.#stack.work);
  }

  async time(spec: Case, script: string, below: string): Promise<void> {
    await settle();
    this.bench.record(spec, this.target.name, await timeScript(script, this.path(below)));
  }
}

/** The whole sequence once with every result compared, untimed. Errors: rejects naming the step. */
async function check(subject: Subject): Promise<void> {
  const { fixture, target } = subject;
  const expect = (step: string, got: string, want: string): void => {
    if (got !== want)
      throw new Error(`${step} gave a wrong result: ${got.slice(0, 200).trim()} instead of ${want.slice(0, 200).trim()}`);
  };
  const shell = (script: string, below: string): Promise<string> => run(['sh', '-ec', script], { cwd: subject.path(below) });
  const print = fingerprint(target.losesTimes ? timeless : '');
  const wanted = target.losesTimes ? fixture.treeTimeless : fixture.tree;
  await subject.cold();
  expect('reading the image', await listing(subject.path('image')), fixture.image);
  await shell(`mkdir src && tar xf ${fixture.archive} -C src`, '');
  await subject.cold();
  expect('tar -x', await shell(print, 'src'), wanted);
  await shell('cp -a src copy', '');
  expect('cp -a', await shell(print, 'copy'), wanted);
  expect('git', await shell(`${gitCommit} && git fsck --no-progress && git status --porcelain`, 'src'), '');
  await shell('rm -rf copy && mkdir copy', '');
  expect('rm -rf', await shell('find copy', ''), 'copy\n');
}

async function round(subject: Subject): Promise<void> {
  await subject.cold();
  await subject.time(cases.untar, `mkdir src && tar xf ${subject.fixture.archive} -C src`, '');
  const coldOnes: [Case, string, string][] = [
    [cases.find, findAll, 'src'],
    [cases.tar, tarAll, 'src'],
    [cases.findImage, findAll, 'image'],
    [cases.tarImage, tarAll, 'image'],
  ];
  for (const [spec, script, below] of coldOnes) {
    await subject.cold();
    await subject.time(spec, script, below);
  }
  await subject.time(cases.copy, 'cp -a src copy', '');
  await subject.time(cases.usage, 'du -s copy >/dev/null', '');
  await subject.time(cases.git, gitCommit, 'src');
  // a file system mounted with discard trims block by block here: seconds of device time that hide the union on a busy host
  if (subject.bench.host === 'quiet' || !subject.fixture.trims) await subject.time(cases.remove, 'rm -rf copy', '');
}

export const tree: Workload = {
  name: 'tree',
  title: 'tree: programs on small files in a root of 20 layers',
  async run(bench) {
    const fixture = await prepare(bench);
    const whole = async (target: Target, work: (subject: Subject) => Promise<void>): Promise<void> => {
      const subject = new Subject(bench, target, fixture);
      await work(subject).finally(() => subject.dispose());
    };
    const chosen = bench.select(['plain', 'overlay', 'fuse-overlayfs', 'unionfs-fuse', 'lamina']);
    const sound = await bench.checked(chosen, (target) => whole(target, check));
    await bench.interleave(bench.size(5, 2), sound, (target) => whole(target, round));
  },
};
