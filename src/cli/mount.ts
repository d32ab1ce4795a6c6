// `lamina mount`: an image or layer directories become a container root on a directory of the host.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { familiarName, resolveImage } from '../image/index.js';
import { makeChosenDirectory } from '../native/make-directories.js';
import { dataRoot, withStore } from '../store/index.js';
import { planMount, type MountRequest } from '../transport/check.js';
import { splitLowers } from '../transport/overlay-options.js';
import type { Bypass } from '../transport/plan.js';
import { runDirectory } from '../process/run-directory.js';
import { type Arguments, type CommandSpec, UsageError } from './arguments.js';
import type { Command, Commands } from './command.js';
import { tellAsOwn } from './failures.js';
import { serve } from './serve.js';
import type { OpenedRoutes } from './open-routes.js';

const MOUNT: CommandSpec = {
  command: 'lamina mount',
  usage: '[OPTIONS] IMAGE|--lower DIR[:DIR...] TARGET',
  summary: 'Mount a container root: one union of read-only layers and a writable one, with volumes that bypass it',
  flags: {
    lower: { takes: 'DIR[:DIR...]', many: true, help: 'Layers instead of an image, topmost first (a colon in a name: \\:)' },
    upper: { takes: 'DIR', help: 'Writable layer; without one the root is read-only' },
    work: { takes: 'DIR', help: 'Work directory, on the filesystem of the upper one' },
    volume: { short: 'v', takes: '[SRC:]DST[:OPTIONS]', many: true, help: 'Mount a host directory, a file or a named volume' },
    mount: { takes: 'type=...,source=...,target=...', many: true, help: 'The same, as key=value pairs' },
    'read-only': { help: 'Refuse every write to the root; volumes keep their own mode' },
    bypass: { takes: 'auto|bind|passthrough|relay', help: 'How volumes bypass the union (default auto)' },
    volatile: { help: 'Skip fsync: a crash may lose what was written' },
    foreground: { short: 'f', help: 'Stay in the foreground and serve until unmounted' },
    json: { help: 'Print the mount as JSON once it is usable' },
  },
};

const TIERS: readonly string[] = ['auto', 'bind', 'passthrough', 'relay'];

interface Layers {
  lowers: string[];
  image?: string;
}

async function findLayers(args: Arguments): Promise<Layers & { target: string }> {
  const lowers = args.all('lower').flatMap(splitLowers);
  const expected = lowers.length > 0 ? 1 : 2;
  if (args.rest.length !== expected) {
    throw new UsageError(
      lowers.length > 0 ? 'give one TARGET after --lower' : 'give an IMAGE (or --lower DIR) and a TARGET',
      MOUNT.command,
    );
  }
  const target = args.rest[expected - 1] ?? '';
  if (lowers.length > 0) return { lowers, target };
  const name = args.rest[0] ?? '';
  const image = await withStore(dataRoot(), (store) => resolveImage(store, name));
  return { lowers: [...image.layers], image: image.references.map(familiarName)[0] ?? image.id.slice(0, 12), target };
}

/** A place for mountpoints that a read-only root lacks: made in it before the root is sealed, gone with the mount. */
function scratch(): { upper: string; work: string; remove: () => void } {
  makeChosenDirectory(runDirectory(), 0o700, 'LAMINA_RUN');
  const base = mkdtempSync(join(runDirectory(), 'scratch-'));
  for (const name of ['upper', 'work']) mkdirSync(join(base, name), { mode: 0o755 });
  return { upper: join(base, 'upper'), work: join(base, 'work'), remove: () => rmSync(base, { recursive: true, force: true }) };
}

/** Volumes are made and filled only for a mount that is otherwise in order. */
async function findRoutes(args: Arguments, request: MountRequest): Promise<OpenedRoutes> {
  const volumes = args.all('volume');
  const mounts = args.all('mount');
  if (volumes.length + mounts.length === 0) return { routes: [], undo: () => Promise.resolve() };
  planMount(request);
  const { openRoutes } = await import('./open-routes.js');
  return openRoutes(volumes, mounts, request.upper === undefined ? request.lowers : [request.upper, ...request.lowers]);
}

function checkBypass(args: Arguments): Bypass {
  const bypass = args.value('bypass') ?? 'auto';
  if (!TIERS.includes(bypass))
    throw new UsageError(`invalid value "${bypass}" for --bypass: one of ${TIERS.join(', ')}`, MOUNT.command);
  return bypass as Bypass;
}

const mount: Command = {
  spec: MOUNT,
  tell: tellAsOwn,
  async run(args) {
    const bypass = checkBypass(args);
    const { lowers, image, target } = await findLayers(args);
    const request: MountRequest = {
      target,
      lowers,
      bypass,
      upper: args.value('upper'),
      work: args.value('work'),
      readOnly: args.has('read-only'),
      volatile: args.has('volatile'),
    };
    const { routes, undo } = await findRoutes(args, request);
    const made = routes.length > 0 && request.upper === undefined ? scratch() : undefined;
    if (made) Object.assign(request, { upper: made.upper, work: made.work, readOnly: true });
    await serve(
      { ...request, routes },
      {
        foreground: args.has('foreground'),
        image,
        failed: undo,
        ended: made?.remove,
        announce: (mounted) => {
          if (args.has('json')) process.stdout.write(`${JSON.stringify({ ...mounted.plan, image, pid: process.pid })}\n`);
        },
      },
    );
    return undefined;
  },
};

export const commands: Commands = { mount };
