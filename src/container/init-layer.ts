// A layer between image and container that holds the mountpoints every container needs and the image lacks (Docker's init
// layer), so that they are in no `diff` and no `commit`. One for each image, made when its first container is.

import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Image } from '../image/index.js';
import { sys } from '../native/load.js';
import { Mode, STAT_WORDS, Stat } from '../native/syscalls.js';
import { removeNow } from '../process/remove-tree.js';
import type { Context } from './context.js';
import { LayerView } from './layer-view.js';

const DIRECTORIES: readonly string[] = ['dev', 'proc', 'sys', 'etc'];
const FILES: readonly string[] = ['etc/hostname', 'etc/hosts', 'etc/resolv.conf'];
/** What programs read to see what is mounted. */
const MTAB = 'etc/mtab';
/** By which programs know that they are in a container of Docker's kind. */
const MARK = '.dockerenv';

function pathOf(context: Context, image: string): string {
  return join(context.root, 'init', image);
}

/** A directory that the image has shows through with the image's attributes: it must look the same here. */
function makeDirectory(view: LayerView, top: string, name: string): void {
  const path = join(top, name);
  mkdirSync(path, { mode: 0o755 });
  const stat = new BigInt64Array(STAT_WORDS);
  if (view.at('', name, (fd, at) => sys.statx(fd, at, stat)) !== 0) return;
  const word = (index: number): number => Number(stat[index]);
  chownSync(path, word(Stat.uid), word(Stat.gid));
  chmodSync(path, word(Stat.mode) & 0o7777);
  const time = Number(stat[Stat.mtime]) / 1e9;
  utimesSync(path, time, time);
}

/** undefined when there is nothing. */
function isDirectory(view: LayerView, name: string): boolean | undefined {
  const stat = new BigInt64Array(STAT_WORDS);
  if (view.at('', name, (fd, at) => sys.statx(fd, at, stat)) !== 0) return undefined;
  return (Number(stat[Stat.mode]) & Mode.FMT) === Mode.DIR;
}

function fill(view: LayerView, top: string): void {
  const missing = [...FILES, MTAB].filter((path) => !view.has(dirname(path), path.slice(dirname(path).length + 1)));
  if (!view.has('', MARK)) writeFileSync(join(top, MARK), '', { mode: 0o755 });
  // A link to a directory elsewhere stays what it is; the runtime makes the files behind it.
  const needsEtc = missing.length > 0 && (isDirectory(view, 'etc') ?? true);
  for (const name of DIRECTORIES) {
    if (name === 'etc' ? needsEtc : !view.has('', name)) makeDirectory(view, top, name);
  }
  if (!needsEtc) return;
  const { atime, mtime } = statSync(join(top, 'etc'));
  for (const path of missing) {
    if (path === MTAB) symlinkSync('/proc/mounts', join(top, path));
    else writeFileSync(join(top, path), '', { mode: 0o644 });
  }
  utimesSync(join(top, 'etc'), atime, mtime);
}

/** The layer's directory. */
export function initLayer(context: Context, image: Image | undefined): string {
  const path = pathOf(context, image?.id ?? 'scratch');
  if (existsSync(path)) return path;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const staging = context.store.makeStaging();
  const view = new LayerView(image?.layers ?? [], context.scheme);
  try {
    const draft = join(staging, 'init');
    mkdirSync(draft, { mode: 0o755 });
    const [top] = image?.layers ?? [];
    if (top !== undefined) chmodSync(draft, statSync(top).mode & 0o7777);
    fill(view, draft);
    renameSync(draft, path);
  } finally {
    view.close();
    removeNow(staging);
  }
  return path;
}

/** Removes those of images that are gone, unless a container stands on one. */
export async function sweepInitLayers(context: Context): Promise<void> {
  const directory = dirname(pathOf(context, 'scratch'));
  if (!existsSync(directory)) return;
  const images = await context.store.transaction((records) => records.list('image'));
  const needed = new Set([...images.map(({ id }) => pathOf(context, id)), pathOf(context, 'scratch')]);
  for (const { layers } of context.registry.list()) needed.add(layers[0] ?? '');
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (!needed.has(path)) removeNow(path);
  }
}
