// Layers and stacks as data: what the tests put into lower and upper directories, and the union that a stack
// must show, computed here on its own so that a plain directory can be the control. Used by mounts.ts and by cases.

import { chmod, chown, link as linkOp, mkdir, mknod, put, setxattr, symlink as symlinkOp, truncate, utimens } from './ops.js';
import { at, setflags } from './ops-objects.js';
import type { Op } from './ops.js';

/** char: device 0:0 · wh: a file `.wh.NAME` · xattr: an empty file with overlay.whiteout below a directory marked "x". */
export type WhiteoutFormat = 'char' | 'wh' | 'xattr';
/** The four ways in which a directory says that nothing below it shows through. */
export type OpaqueFormat = 'trusted' | 'user' | 'fuseoverlayfs' | 'wh';

interface Meta {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Seconds; every entry has a fixed one, by layer, when absent. */
  readonly mtime?: number;
  readonly xattrs?: Readonly<Record<string, string>>;
  /** Letters of chattr. */
  readonly flags?: string;
}

export type Entry = Meta &
  (
    | { readonly type: 'file'; readonly data?: string; readonly times?: number; readonly size?: number }
    | { readonly type: 'dir'; readonly opaque?: OpaqueFormat }
    | { readonly type: 'symlink'; readonly target: string }
    | { readonly type: 'fifo' | 'socket' }
    | { readonly type: 'chr' | 'blk'; readonly rdev: readonly [number, number] }
    | { readonly type: 'link'; readonly to: string }
    | { readonly type: 'whiteout'; readonly format: WhiteoutFormat }
  );

/** Entries by path; missing parents are directories with default attributes, '' is the layer's own root. */
export type Layer = Readonly<Record<string, Entry>>;

export interface Stack {
  /** Topmost first. */
  readonly lower: readonly Layer[];
  /** An empty upper when absent, no upper at all (a read-only union) when null. */
  readonly upper?: Layer | null;
}

export const file = (data = '', meta: Meta = {}): Entry => ({ type: 'file', data, ...meta });
/** A file of `times` repetitions of data, extended to `size` by a hole. */
export const bigFile = (data: string, times: number, size?: number, meta: Meta = {}): Entry => ({
  type: 'file',
  data,
  times,
  size,
  ...meta,
});
export const dir = (meta: Meta = {}): Entry => ({ type: 'dir', ...meta });
export const opaque = (format: OpaqueFormat = 'trusted', meta: Meta = {}): Entry => ({ type: 'dir', opaque: format, ...meta });
export const symlink = (target: string, meta: Meta = {}): Entry => ({ type: 'symlink', target, ...meta });
export const fifo = (meta: Meta = {}): Entry => ({ type: 'fifo', ...meta });
export const socket = (meta: Meta = {}): Entry => ({ type: 'socket', ...meta });
export const chr = (major: number, minor: number, meta: Meta = {}): Entry => ({ type: 'chr', rdev: [major, minor], ...meta });
export const blk = (major: number, minor: number, meta: Meta = {}): Entry => ({ type: 'blk', rdev: [major, minor], ...meta });
/** A hard link to another path of the same layer. */
export const link = (to: string): Entry => ({ type: 'link', to });
export const whiteout = (format: WhiteoutFormat = 'char'): Entry => ({ type: 'whiteout', format });

/** A layer or a union as a tree. `group` is shared by the names of one inode. */
export interface Node {
  readonly entry: Entry;
  readonly layer: number;
  readonly group: string;
  readonly children: Map<string, Node>;
}

const PATH_MAX = 4096;
const BASE_TIME = 1_000_000_000;

function node(entry: Entry, layer: number, path: string): Node {
  return { entry, layer, group: `${layer}:${path}`, children: new Map() };
}

/** The tree of one layer. `index` only keeps layers apart: times and hard-link groups. */
export function nest(layer: Layer, index: number): Node {
  const root = node(layer[''] ?? dir(), index, '');
  for (const [path, given] of Object.entries(layer)) {
    if (path === '') continue;
    const words = path.split('/');
    let at = root;
    let walked = '';
    words.forEach((word, depth) => {
      walked = walked === '' ? word : `${walked}/${word}`;
      const last = depth === words.length - 1;
      const to = last && given.type === 'link' ? given.to : walked;
      const entry = layer[to] ?? dir();
      const next = at.children.get(word) ?? node(entry, index, to);
      at.children.set(word, next);
      at = next;
    });
  }
  return root;
}

function put1(below: Node | undefined, top: Node): Node | undefined {
  if (top.entry.type === 'whiteout') return undefined;
  const merged: Node = { ...top, children: new Map() };
  if (top.entry.type !== 'dir') return merged;
  const shows = below?.entry.type === 'dir' && top.entry.opaque === undefined;
  if (shows) for (const [name, child] of below.children) merged.children.set(name, child);
  for (const [name, child] of top.children) {
    const result = put1(merged.children.get(name), child);
    if (result === undefined) merged.children.delete(name);
    else merged.children.set(name, result);
  }
  return merged;
}

/** The union that a stack must show. */
export function merge(stack: Stack): Node {
  const layers = stack.upper ? [stack.upper, ...stack.lower] : [...stack.lower];
  let union: Node | undefined;
  for (let i = layers.length - 1; i >= 0; i--) union = put1(union, nest(layers[i] ?? {}, i));
  return union ?? node(dir(), 0, '');
}

const join = (parent: string, name: string): string => (parent === '.' ? name : `${parent}/${name}`);

function overlayName(format: OpaqueFormat): string {
  return format === 'user'
    ? 'user.overlay.opaque'
    : format === 'fuseoverlayfs'
      ? 'user.fuseoverlayfs.opaque'
      : 'trusted.overlay.opaque';
}

function makeWhiteout(format: WhiteoutFormat, parent: string, name: string): Op[] {
  if (format === 'char') return [mknod(join(parent, name), 'chr', 0, [0, 0])];
  if (format === 'wh') return [put(join(parent, `.wh.${name}`), '')];
  return [
    put(join(parent, name), ''),
    setxattr(join(parent, name), 'trusted.overlay.whiteout', ''),
    setxattr(parent, 'trusted.overlay.opaque', 'x'),
  ];
}

function makeObject(entry: Entry, path: string): Op[] {
  switch (entry.type) {
    case 'file': {
      const made = put(path, entry.data ?? '', entry.times ?? 1);
      return entry.size === undefined ? [made] : [made, truncate(path, entry.size)];
    }
    case 'dir':
      return path === '.' ? [] : [mkdir(path)];
    case 'symlink':
      return [symlinkOp(entry.target, path)];
    case 'fifo':
    case 'socket':
      return [mknod(path, entry.type)];
    case 'chr':
    case 'blk':
      return [mknod(path, entry.type, 0o644, entry.rdev)];
    default:
      throw new Error(`a ${entry.type} entry at ${path} is no object of its own`);
  }
}

function setMeta(entry: Entry, path: string): Op[] {
  const ops: Op[] = [];
  if (entry.uid !== undefined || entry.gid !== undefined) ops.push(chown(path, entry.uid ?? -1, entry.gid ?? -1));
  if (entry.mode !== undefined) ops.push(chmod(path, entry.mode));
  for (const [name, value] of Object.entries(entry.xattrs ?? {})) ops.push(setxattr(path, name, value));
  return ops;
}

/** An operation on a path too long for a system call becomes one on its last name. */
function reachable(op: Op): Op {
  const path = op['path'];
  if (typeof path !== 'string' || path.length < PATH_MAX) return op;
  const names = path.split('/');
  return at(names.slice(0, -1), { ...op, path: names[names.length - 1] });
}

/** Operations that make `root`'s content in the directory `part` (relative; '.' is the directory itself, which exists). */
export function buildOps(root: Node, part = '.'): Op[] {
  const [outer = part] = part.split('/');
  const ops: Op[] = outer === part ? [] : [mkdir(outer, 0o755)];
  const metas: Op[] = [];
  const times: Op[] = [];
  const flags: Op[] = [];
  const made = new Map<string, string>();
  const visit = (item: Node, path: string, parent: string, name: string): void => {
    const { entry } = item;
    if (entry.type === 'whiteout') {
      ops.push(...makeWhiteout(entry.format, parent, name));
      return;
    }
    const first = made.get(item.group);
    if (first !== undefined && entry.type !== 'dir') {
      ops.push(linkOp(first, path));
      return;
    }
    made.set(item.group, path);
    ops.push(...makeObject(entry, path));
    // A directory's when all is in it, so that nothing inherits: the union on a plain directory has other parents.
    (entry.type === 'dir' ? metas : ops).push(...setMeta(entry, path));
    if (entry.type === 'dir' && entry.opaque === 'wh') ops.push(put(join(path, '.wh..wh..opq'), ''));
    else if (entry.type === 'dir' && entry.opaque) ops.push(setxattr(path, overlayName(entry.opaque), 'y'));
    for (const [child, value] of item.children) visit(value, join(path, child), path, child);
    const stamp = `${entry.mtime ?? BASE_TIME + item.layer}000000000`;
    times.push(utimens(path, stamp, stamp));
    if (entry.flags !== undefined) flags.push(setflags(path, entry.flags));
  };
  visit(root, part, '.', '');
  return [...ops, ...metas, ...times, ...flags].map(reachable);
}

/** Drops overlay's marks from a union that is to stand on a plain directory. */
export function withoutMarks(root: Node): Node {
  const entry: Entry = root.entry.type === 'dir' ? { ...root.entry, opaque: undefined } : root.entry;
  return { ...root, entry, children: new Map([...root.children].map(([name, child]) => [name, withoutMarks(child)])) };
}
