// The serving worker: runs the native loop for its mounts. The loop keeps this thread; a message from the mounting
// thread comes with a write to the wake fd, which makes the loop return.

import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { errno } from '../abi/errno.js';
import { OUT_HEADER } from '../abi/protocol.js';
import { Loop, Mount } from '../native/load.js';
import type { NativeMount } from '../native/mount.js';
import type { Filesystem } from '../session/filesystem.js';
import { MAX_WRITE, type Wishes } from '../session/negotiate.js';
import { Session } from '../session/session.js';
import { Union } from '../union/union.js';
import { openLayers } from './layers.js';
import type { FromWorker, Shown, ToWorker, WorkerData } from './messages.js';
import type { MountPlan } from './plan.js';
import { addRoutes } from './routes.js';
import { makeRouteRoot, SERVED_ROUTE } from './served-route.js';
import { ServedUnion } from './served-union.js';

const PAGE = 4096;

function tell(message: FromWorker): void {
  parentPort?.postMessage(message);
}

const log = (message: string): void => tell({ type: 'log', message });

const request = new Uint8Array(MAX_WRITE + PAGE);
const reply = new Uint8Array(MAX_WRITE + OUT_HEADER + PAGE);
const sessions = new Map<number, Session>();
/** Fds that each mount may keep open. */
const fdLimits = new Map<number, number>();
let stopping = false;

const loop = new Loop({
  wakeFd: (workerData as WorkerData).wakeFd,
  request,
  reply,
  decide: (mount, opcode, node, length) => sessions.get(mount)?.decide(opcode, node, length) ?? -errno.EIO,
  copyUp: (mount, node, length) => sessions.get(mount)?.copyUp(node, length) ?? -errno.EIO,
  tidy: (mount) => {
    sessions.get(mount)?.tidy();
    return 0;
  },
  ended: (mount) => {
    forget(mount);
    return 0;
  },
});

function forget(mount: number): void {
  sessions.get(mount)?.native.detach();
  sessions.delete(mount);
  fdLimits.delete(mount);
  tell({ type: 'ended', mount });
}

/** What a native mount shows, made ready to serve. */
interface Prepared {
  filesystem: Filesystem;
  wishes: Wishes;
  paths: string[];
}

function prepareUnion(native: NativeMount, plan: MountPlan): Prepared {
  native.setOptions({ userXattr: plan.scheme === 'user', attrTimeout: plan.timeout, entryTimeout: plan.timeout, ...plan.ids });
  const union = new Union(native, openLayers(native, plan), log);
  union.makeRoot();
  const roots = plan.lowers.length + (plan.upper === undefined ? 0 : 3);
  const paths = addRoutes(native, union, plan.routes, roots);
  native.setOptions({ skipSync: plan.volatile });
  if (plan.readOnly) native.seal();
  // What others use too must not be cached, and is locked where they see it.
  const shared = !plan.mountRoutes && plan.routes.length > 0;
  const wishes = { passthrough: plan.passthrough, cacheDirs: !shared, keepEntries: true, locks: shared, posixAcl: plan.posixAcl };
  return { filesystem: new ServedUnion(union), wishes, paths };
}

function prepare(native: NativeMount, shown: Shown): Prepared {
  if ('union' in shown) return prepareUnion(native, shown.union);
  makeRouteRoot(native, shown.route);
  const passthrough = shown.route.tier === 'passthrough';
  const wishes = { passthrough, cacheDirs: false, keepEntries: false, locks: true, posixAcl: shown.posixAcl };
  return { filesystem: SERVED_ROUTE, wishes, paths: [] };
}

function serve(mount: number, fuseFd: number, shown: Shown): void {
  const native = new Mount(fdLimits.get(mount) ?? 0);
  native.attach(fuseFd);
  try {
    const { filesystem, wishes, paths } = prepare(native, shown);
    const events = {
      ready: (refusal?: string) =>
        tell(refusal === undefined ? { type: 'ready', mount, paths } : { type: 'failed', mount, message: refusal }),
      log,
    };
    native.setOptions({ locks: wishes.locks });
    sessions.set(mount, new Session(native, filesystem, wishes, events, request, reply));
    const error = loop.add(mount, native);
    if (error) throw new Error(`the serving loop does not take the mount: errno ${-error}`);
  } catch (error) {
    native.detach();
    sessions.delete(mount);
    fdLimits.delete(mount);
    tell({ type: 'failed', mount, message: (error as Error).message });
  }
}

function obey(message: ToWorker): void {
  switch (message.type) {
    case 'serve':
      serve(message.mount, message.fuseFd, message.shown);
      break;
    case 'fds':
      fdLimits.set(message.mount, message.limit);
      sessions.get(message.mount)?.native.setFdLimit(message.limit);
      break;
    case 'stats':
      tell({ type: 'stats', reply: message.reply, stats: sessions.get(message.mount)?.native.stats() });
      break;
    case 'end':
      loop.remove(message.mount);
      forget(message.mount);
      break;
    case 'stop':
      stopping = true;
  }
}

/** Serves until woken, obeys, and lets the event loop turn once before serving on. */
function turn(): void {
  for (let item = parentPort && receiveMessageOnPort(parentPort); item; item = parentPort && receiveMessageOnPort(parentPort)) {
    obey(item.message as ToWorker);
  }
  if (stopping) {
    parentPort?.close();
    return;
  }
  if (sessions.size === 0) {
    parentPort?.once('message', (message: ToWorker) => {
      obey(message);
      turn();
    });
    return;
  }
  loop.run();
  setImmediate(turn);
}

turn();
