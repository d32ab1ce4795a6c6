// `lamina ls`, `lamina stats`, `lamina umount`: looking at and ending mounts from another process than their server's.

import { realpathSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { errno, errnoText } from '../abi/errno.js';
import { opcodeName } from '../abi/protocol.js';
import { readMountinfo } from '../transport/check.js';
import { askStats } from '../transport/control.js';
import { unmountFuse } from '../transport/fuse-device.js';
import { isAlive, readRecords, type MountRecord } from '../transport/registry.js';
import { unmountBelow } from '../transport/route-mounts.js';
import { UsageError } from './arguments.js';
import type { Command, Commands } from './command.js';
import { tellAsOwn } from './failures.js';
import { table } from './table.js';

const JSON_FLAG = { json: { help: 'Print JSON' } } as const;

/** How long `umount` waits for the server to have written everything off, ms. */
const END_LIMIT = 20_000;

function describeRoutes(record: MountRecord): string {
  return record.routes.map((route) => `${route.destination}${route.readOnly ? ':ro' : ''} (${route.tier})`).join(', ') || '-';
}

const ls: Command = {
  spec: {
    command: 'lamina ls',
    usage: '[OPTIONS]',
    summary: 'List what is mounted: layers, routes, tiers',
    flags: { ...JSON_FLAG, quiet: { short: 'q', help: 'Only targets' } },
  },
  tell: tellAsOwn,
  run(args) {
    const records = readRecords();
    if (args.has('json')) {
      const shown = records.map(({ socket: _, started: __, ...each }) => each);
      process.stdout.write(`${JSON.stringify(shown, undefined, 2)}\n`);
    } else if (args.has('quiet')) {
      for (const record of records) process.stdout.write(`${record.target}\n`);
    } else {
      const rows = records.map((record) => [
        record.target,
        record.image ?? '-',
        String(record.lowers.length),
        record.upper ?? '(read-only)',
        describeRoutes(record),
        String(record.pid),
      ]);
      process.stdout.write(table(['TARGET', 'IMAGE', 'LAYERS', 'UPPER', 'VOLUMES', 'PID'], rows));
    }
    return Promise.resolve(0);
  },
};

function resolveTarget(target: string): string {
  try {
    return realpathSync(target);
  } catch (cause) {
    // A mount whose server died cannot be walked into, only named.
    if ((cause as NodeJS.ErrnoException).code === 'ENOTCONN') return target.replace(/(.)\/+$/, '$1');
    throw new Error(
      `${target}: ${(cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file or directory' : (cause as Error).message}`,
    );
  }
}

function countsTable(head: readonly [string, string], counts: readonly (readonly [name: string, count: unknown])[]): string {
  return table(
    head,
    counts.map(([name, count]) => [name, String(count)]),
  );
}

const stats: Command = {
  spec: {
    command: 'lamina stats',
    usage: '[OPTIONS] TARGET',
    summary: 'Show the requests a mount has served',
    flags: JSON_FLAG,
  },
  tell: tellAsOwn,
  async run(args) {
    const [target] = args.rest;
    if (target === undefined || args.rest.length > 1)
      throw new UsageError('"lamina stats" requires exactly 1 argument.', 'lamina stats');
    const resolved = resolveTarget(target);
    const record = readRecords().find((each) => each.target === resolved);
    if (!record) throw new Error(`${target} is not mounted by lamina: \`lamina ls\` shows what is`);
    const found = await askStats(record.socket);
    const { requests: byOpcode, ...sums } = found;
    const requests = byOpcode.map((count, code) => [opcodeName(code), count] as const).filter(([, count]) => count > 0);
    if (args.has('json')) {
      process.stdout.write(`${JSON.stringify({ ...found, requests: Object.fromEntries(requests) }, undefined, 2)}\n`);
      return 0;
    }
    requests.sort((a, b) => b[1] - a[1]);
    process.stdout.write(countsTable(['REQUEST', 'COUNT'], requests));
    process.stdout.write(`\n${countsTable(['COUNTER', 'VALUE'], Object.entries(sums))}`);
    return 0;
  },
};

async function unmountOne(target: string, lazy: boolean): Promise<void> {
  const resolved = resolveTarget(target);
  const mounted = readMountinfo().some((mount) => mount.mountpoint === resolved && mount.type === 'fuse.lamina');
  if (!mounted) throw new Error(`${target} is not mounted by lamina: \`lamina ls\` shows what is`);
  const record = readRecords().find((each) => each.target === resolved);
  if (!lazy) await unmountBelow(resolved);
  const error = await unmountFuse(resolved, lazy);
  if (error === -errno.EBUSY)
    throw new Error(`${target} is busy: end what uses it (\`fuser -vm ${target}\`), or unmount with -l`);
  if (error) throw new Error(`${target}: ${errnoText(error)}`);
  if (!record || lazy) return;
  for (const start = Date.now(); isAlive(record); await delay(2)) {
    if (Date.now() - start > END_LIMIT)
      throw new Error(`${target} is unmounted, but its server (pid ${record.pid}) does not end`);
  }
}

const umount: Command = {
  spec: {
    command: 'lamina umount',
    usage: '[OPTIONS] TARGET [TARGET...]',
    summary: 'Unmount container roots',
    flags: { lazy: { short: 'l', help: 'Detach a busy mount; it ends when its last user leaves' } },
  },
  tell: tellAsOwn,
  async run(args) {
    if (args.rest.length === 0) throw new UsageError('"lamina umount" requires at least 1 argument.', 'lamina umount');
    let code = 0;
    for (const target of args.rest) {
      try {
        await unmountOne(target, args.has('lazy'));
      } catch (error) {
        process.stderr.write(`lamina: ${(error as Error).message}\n`);
        code = 1;
      }
    }
    return code;
  },
};

export const commands: Commands = { ls, 'stats TARGET': stats, umount };
