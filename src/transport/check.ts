// From what a user asks to a plan that can be served: every path resolved and checked before anything is mounted.

import { accessSync, constants, readFileSync, realpathSync, statSync } from 'node:fs';
import { MountError } from './layers.js';
import type { Bypass, IdMapping, MountPlan, RoutePlan } from './plan.js';
import { ownScheme } from '../layer/scheme.js';

export interface RouteRequest {
  source: string;
  destination: string;
  readOnly: boolean;
}

export interface MountRequest {
  target: string;
  /** Shown as the mount's source; lamina when absent. */
  source?: string;
  /** See MountPlan. */
  flags?: readonly string[];
  /** Topmost first. */
  lowers: readonly string[];
  upper?: string | undefined;
  work?: string | undefined;
  routes?: readonly RouteRequest[];
  readOnly?: boolean;
  bypass?: Bypass;
  volatile?: boolean;
  /** Seconds; the union changes only through us, so the default trusts it for ever. */
  timeout?: number;
  posixAcl?: boolean;
  ids?: IdMapping;
  /** false relays file data of the union too. */
  passthrough?: boolean;
}

const FOREVER = 1e9;
export const MAX_LAYERS = 500;

function resolveDirectory(path: string, what: string): string {
  let resolved: string;
  try {
    resolved = realpathSync(path);
    if (!statSync(resolved).isDirectory()) throw new MountError(`${what} ${path} is not a directory`);
    accessSync(resolved, constants.R_OK | constants.X_OK);
  } catch (cause) {
    if (cause instanceof MountError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') throw new MountError(`${what} ${path} does not exist: create it, or check the path`);
    if (code === 'ENOTDIR') throw new MountError(`${what} ${path} is not a directory`);
    if (code === 'EACCES' || code === 'EPERM') throw new MountError(`${what} ${path} is not readable: permission denied`);
    if (code === 'ENOTCONN') throw new MountError(`${what} ${path} is a mount whose server died: run \`umount ${path}\` first`);
    throw new MountError(`${what} ${path}: ${(cause as Error).message}`);
  }
  return resolved;
}

function isInside(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === '/' ? '/' : `${directory}/`);
}

function overlap(a: string, b: string): boolean {
  return isInside(a, b) || isInside(b, a);
}

/** Undoes the octal escapes of /proc/self/mountinfo. */
function unescapeMountinfo(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}

export interface MountinfoEntry {
  mountpoint: string;
  type: string;
  source: string;
  superOptions: string;
}

/** The mounts of this mount namespace, oldest first. */
export function readMountinfo(): MountinfoEntry[] {
  return readFileSync('/proc/self/mountinfo', 'latin1')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [before = '', after = ''] = line.split(' - ');
      const [type = '', source = '', superOptions = ''] = after.split(' ');
      return {
        mountpoint: Buffer.from(unescapeMountinfo(before.split(' ')[4] ?? ''), 'latin1').toString(),
        type,
        source: unescapeMountinfo(source),
        superOptions,
      };
    });
}

/** Whatever is mounted below a directory, newest first. */
export function mountpointsBelow(directory: string): string[] {
  return readMountinfo()
    .map(({ mountpoint }) => mountpoint)
    .filter((path) => path.startsWith(`${directory}/`))
    .reverse();
}

function checkTarget(path: string): string {
  const target = resolveDirectory(path, 'mount target');
  const mounts = readMountinfo().filter((mount) => mount.mountpoint === target);
  const top = mounts[mounts.length - 1];
  if (top?.type === 'fuse.lamina') {
    throw new MountError(`${path} is already mounted by lamina: run \`lamina umount ${path}\` first`);
  }
  return target;
}

function checkWriteSide(request: MountRequest, lowers: string[]): { upper: string; work: string } | undefined {
  if (request.upper === undefined) {
    if (request.work !== undefined) throw new MountError('a work directory needs an upper directory: give --upper too');
    return undefined;
  }
  if (request.work === undefined)
    throw new MountError('an upper directory needs a work directory on the same filesystem: give --work too');
  const upper = resolveDirectory(request.upper, 'upper directory');
  const work = resolveDirectory(request.work, 'work directory');
  if (overlap(upper, work))
    throw new MountError(`upper directory ${upper} and work directory ${work} overlap: use two separate directories`);
  if (statSync(upper).dev !== statSync(work).dev) {
    throw new MountError(`upper directory ${upper} and work directory ${work} are on different filesystems: put both on one`);
  }
  for (const lower of lowers) {
    if (overlap(upper, lower))
      throw new MountError(`upper directory ${upper} and lower directory ${lower} overlap: a layer must not hold another`);
    if (overlap(work, lower))
      throw new MountError(`work directory ${work} and lower directory ${lower} overlap: a layer must not hold another`);
  }
  return { upper, work };
}

function checkRoute(route: RouteRequest, tier: RoutePlan['tier']): RoutePlan {
  let source: string;
  try {
    source = realpathSync(route.source);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    throw new MountError(
      `volume source ${route.source}: ${code === 'ENOENT' ? 'no such file or directory' : (cause as Error).message}`,
    );
  }
  return { source, destination: route.destination, readOnly: route.readOnly, tier };
}

/** Shallow first, so that a mountpoint inside another route lands in that route (Docker: sortMounts). */
function sortRoutes(routes: readonly RouteRequest[]): RouteRequest[] {
  const depth = (route: RouteRequest): number => route.destination.split('/').filter(Boolean).length;
  return [...routes].sort((a, b) => depth(a) - depth(b));
}

/** Checks a request. Errors: MountError that names the thing, the cause and the next step. */
export function planMount(request: MountRequest): MountPlan {
  if (request.lowers.length === 0) throw new MountError('no lower directory: give an image or --lower DIR[:DIR...]');
  if (request.lowers.length > MAX_LAYERS)
    throw new MountError(`${request.lowers.length} lower directories: at most ${MAX_LAYERS} can be stacked`);
  const target = checkTarget(request.target);
  const lowers = request.lowers.map((path) => resolveDirectory(path, 'lower directory'));
  const writeSide = checkWriteSide(request, lowers);
  for (const layer of [...lowers, ...(writeSide ? [writeSide.upper, writeSide.work] : [])]) {
    if (overlap(layer, target))
      throw new MountError(`mount target ${target} and layer ${layer} overlap: mount on a directory of its own`);
  }
  const root = process.geteuid?.() === 0;
  const asked = request.bypass ?? 'auto';
  const tier = asked === 'auto' ? (root ? 'passthrough' : 'relay') : asked;
  return {
    target,
    source: request.source ?? 'lamina',
    flags: [...(request.flags ?? [])],
    lowers,
    upper: writeSide?.upper,
    work: writeSide?.work,
    readOnly: request.readOnly ?? false,
    routes: sortRoutes(request.routes ?? []).map((route) => checkRoute(route, tier)),
    mountRoutes: root,
    scheme: ownScheme(),
    volatile: request.volatile ?? false,
    passthrough: (request.passthrough ?? true) && root,
    timeout: request.timeout ?? FOREVER,
    posixAcl: request.posixAcl ?? true,
    ids: request.ids ?? { uidMap: [], gidMap: [] },
  };
}
