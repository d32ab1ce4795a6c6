// The option string of overlay mounts, as fuse-overlayfs and mount(8) take it: comma-separated, with backslash escapes
// and double quotes, empty elements tolerated. Used by mount.lamina and by everything that speaks its contract.

import type { MountRequest } from './check.js';
import { mountFlags } from './fuse-device.js';
import type { IdMapping } from './plan.js';

export interface OverlayArguments {
  positional: string[];
  options: string[];
  foreground: boolean;
  help: boolean;
  version: boolean;
}

/** Splits an argv of mount.lamina: options may stand anywhere, the last positional is the target. */
export function splitArguments(argv: readonly string[]): OverlayArguments {
  const out: OverlayArguments = { positional: [], options: [], foreground: false, help: false, version: false };
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i] ?? '';
    if (arg === '-o') out.options.push(argv[++i] ?? '');
    else if (arg.startsWith('-o')) out.options.push(arg.slice(2));
    else if (arg === '-f' || arg === '-d' || arg === '--debug') out.foreground = true;
    else if (arg === '-h' || arg === '--help') out.help = true;
    else if (arg === '-V' || arg === '--version') out.version = true;
    else if (arg === '-n' || arg === '-s' || arg === '-v')
      continue; // mount(8) passes these to helpers, and two with a value
    else if (arg === '-t' || arg === '-N') i++;
    else out.positional.push(arg);
  }
  return out;
}

/** Splits at `separator` outside quotes and escapes; keeps the escapes for the next level. */
function split(text: string, separator: string): string[] {
  const parts: string[] = [];
  let part = '';
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i] ?? '';
    if (char === '\\' && i + 1 < text.length) {
      part += char + (text[++i] ?? '');
    } else if (char === '"') {
      quoted = !quoted;
    } else if (char === separator && !quoted) {
      parts.push(part);
      part = '';
    } else {
      part += char;
    }
  }
  parts.push(part);
  return parts;
}

function unescape(text: string): string {
  return text.replace(/\\(.)/gs, '$1');
}

/** Directories of a lowerdir value: `A:B`, a colon in a name written `\:`. */
export function splitLowers(value: string): string[] {
  return split(value, ':')
    .filter((part) => part !== '')
    .map(unescape);
}

/** Accepted and without effect here: what the kernel or our design does anyway. */
const IGNORED = new Set([
  'async',
  'auto',
  'noauto',
  'nofail',
  '_netdev',
  'norelatime',
  'nostrictatime',
  'silent',
  'loud',
  'allow_other',
  'allow_root',
  'default_permissions',
  'threaded',
  'writeback',
  'fast_ino',
  'static_nlink',
  'splice_move',
  'splice_read',
  'splice_write',
  'no_splice_move',
  'no_splice_read',
  'no_splice_write',
  'kernel_cache',
  'max_write',
  'context',
  'noxattrs',
  'metacopy',
  'index',
  'redirect_dir',
  'xino',
  'nfs_export',
  'userxattr',
  'user_id',
  'group_id',
  'rootmode',
  'fd',
  'private',
  'defaults',
  'user',
  'users',
]);

type Request = Omit<MountRequest, 'target'> & {
  /** A mount that exists is to get other flags; the layers, if named, are not looked at. */
  remount?: boolean;
};

/** The request that the options make, with what was not understood; or an error message. */
export function parseOverlayOptions(options: readonly string[]): { request: Request; unknown: string[] } | string {
  const unknown: string[] = [];
  const flags: string[] = [];
  const request: Request = { lowers: [], flags };
  for (const option of options.flatMap((text) => split(text, ','))) {
    if (option === '') continue;
    const equals = option.indexOf('=');
    const key = equals < 0 ? option : option.slice(0, equals);
    const value = equals < 0 ? '' : option.slice(equals + 1);
    if (equals < 0 && applyFlag(flags, key)) continue;
    const effect = Object.hasOwn(EFFECTS, key) ? EFFECTS[key] : undefined;
    const error = effect?.(request, value);
    if (error !== undefined) return error;
    if (!effect && !IGNORED.has(key)) unknown.push(option);
  }
  if (request.remount === true) return { request, unknown };
  if (request.lowers.length === 0) return 'no lowerdir specified';
  if (request.upper !== undefined && request.work === undefined) return 'workdir not specified';
  return { request, unknown };
}

/** Options of mount(8) that the kernel keeps; the last of a pair counts. */
function applyFlag(flags: string[], key: string): boolean {
  if (mountFlags.has(key)) {
    if (!flags.includes(key)) flags.push(key);
    return true;
  }
  if (!mountFlags.has(`no${key}`)) return false;
  const at = flags.indexOf(`no${key}`);
  if (at >= 0) flags.splice(at, 1);
  return true;
}

function idsOf(request: Request): IdMapping {
  return (request.ids ??= { uidMap: [], gidMap: [] });
}

/** `DISK:SHOWN:COUNT[:...]`; containers-storage writes a colon before the first one too. */
function addMapping(request: Request, option: 'uidmapping' | 'gidmapping', value: string): string | undefined {
  const ids = value.split(':').filter((part) => part !== '');
  if (ids.length === 0 || ids.length % 3 !== 0 || !ids.every((part) => /^\d+$/.test(part)))
    return `${option}=${value}: not a list of ID:MAPPED-ID:COUNT`;
  idsOf(request)[option === 'uidmapping' ? 'uidMap' : 'gidMap'].push(...ids.map(Number));
  return undefined;
}

function squashTo(request: Request, option: 'squash_to_uid' | 'squash_to_gid', value: string): string | undefined {
  if (!/^\d+$/.test(value)) return `${option}=${value}: not an id`;
  idsOf(request)[option === 'squash_to_uid' ? 'squashUid' : 'squashGid'] = Number(value);
  return undefined;
}

function squashToRoot(request: Request): undefined {
  const ids = idsOf(request);
  ids.squashUid ??= 0;
  ids.squashGid ??= 0;
}

function trustFor(request: Request, value: string): string | undefined {
  if (!(Number(value) >= 0)) return `timeout=${value}: not a number of seconds`;
  request.timeout = Number(value);
  return undefined;
}

/** What an option does to the request, or an error message. */
type Effect = (request: Request, value: string) => string | undefined;

const EFFECTS: Readonly<Record<string, Effect>> = {
  lowerdir: (request, value) => void (request.lowers = splitLowers(value)),
  'lowerdir+': (request, value) => void (request.lowers = [...request.lowers, unescape(value)]),
  upperdir: (request, value) => void (request.upper = unescape(value)),
  workdir: (request, value) => void (request.work = unescape(value)),
  timeout: trustFor,
  remount: (request) => void (request.remount = true),
  volatile: (request) => void (request.volatile = true),
  fsync: (request, value) => void (request.volatile = value === '0'),
  noacl: (request) => void (request.posixAcl = false),
  nopassthrough: (request) => void (request.passthrough = false),
  ro: (request) => void (request.readOnly = true),
  rw: (request) => void (request.readOnly = false),
  uidmapping: (request, value) => addMapping(request, 'uidmapping', value),
  gidmapping: (request, value) => addMapping(request, 'gidmapping', value),
  squash_to_root: squashToRoot,
  squash_to_uid: (request, value) => squashTo(request, 'squash_to_uid', value),
  squash_to_gid: (request, value) => squashTo(request, 'squash_to_gid', value),
};
