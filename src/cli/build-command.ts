// `lamina build`: the flags of Docker's classic builder, and what they ask of the engine.

import { rmSync, writeFileSync } from 'node:fs';
import type { Query, StreamMessage } from '../client/client.js';
import type { Arguments, Flag } from './arguments.js';
import { buildContext } from './build-context.js';
import { pairs } from './common-flags.js';
import type { Command, Commands } from './command.js';
import { engine } from './engine.js';
import { FlagValues } from './flag-values.js';
import { showProgress } from './progress-lines.js';
import { CONTAINER_FLAGS } from './run-flags.js';

/** Limits of RUN's containers that `run` has too. */
const SHARED = ['add-host', 'cgroup-parent', 'cpu-period', 'cpu-quota', 'cpu-shares', 'cpuset-cpus', 'cpuset-mems', 'memory'];
const SHARED_TOO = ['memory-swap', 'security-opt', 'shm-size', 'ulimit'];

const FLAGS: Readonly<Record<string, Flag>> = {
  ...Object.fromEntries(Object.entries(CONTAINER_FLAGS).filter(([name]) => [...SHARED, ...SHARED_TOO].includes(name))),
  'build-arg': { takes: 'NAME=VALUE', many: true, help: 'Set build-time variables' },
  'cache-from': { takes: 'IMAGE', many: true, help: 'Images to consider as cache sources (those that are here always are)' },
  compress: { help: 'Compress the build context using gzip' },
  file: { short: 'f', takes: 'FILE', help: 'Name of the Dockerfile (default PATH/Dockerfile)' },
  'force-rm': { help: 'Always remove intermediate containers' },
  iidfile: { takes: 'FILE', help: 'Write the image ID to the file' },
  label: { takes: 'KEY=VALUE', many: true, help: 'Set metadata for an image' },
  network: { takes: 'MODE', help: 'Set the networking mode for the RUN instructions during build (default default)' },
  'no-cache': { help: 'Do not use cache when building the image' },
  platform: { takes: 'OS/ARCH', help: 'Set platform if the engine is multi-platform capable' },
  pull: { help: 'Always attempt to pull a newer version of the image' },
  quiet: { short: 'q', help: 'Suppress the build output and print image ID on success' },
  rm: { help: 'Remove intermediate containers after a successful build (default true)' },
  tag: { short: 't', takes: 'NAME[:TAG]', many: true, help: 'Name and optionally a tag' },
  target: { takes: 'STAGE', help: 'Set the target build stage to build' },
};

/** A bare `NAME` takes this process's value; one that is not set here is null: the Dockerfile's default stands. */
function buildArgs(entries: readonly string[]): Record<string, string | null> {
  return Object.fromEntries(
    entries.map((entry) => {
      const equals = entry.indexOf('=');
      return equals < 0 ? [entry, process.env[entry] ?? null] : [entry.slice(0, equals), entry.slice(equals + 1)];
    }),
  );
}

const list = (values: readonly unknown[]): string | undefined => (values.length > 0 ? JSON.stringify(values) : undefined);

function resources(args: Arguments, command: string): Query {
  const flags = new FlagValues(args, command, FLAGS);
  return {
    networkmode: args.value('network') ?? 'default',
    extrahosts: flags.hosts().join(','),
    cgroupparent: args.value('cgroup-parent'),
    cpuperiod: flags.integer('cpu-period'),
    cpuquota: flags.integer('cpu-quota'),
    cpushares: flags.integer('cpu-shares'),
    cpusetcpus: args.value('cpuset-cpus'),
    cpusetmems: args.value('cpuset-mems'),
    memory: flags.bytes('memory'),
    memswap: flags.bytes('memory-swap'),
    shmsize: flags.bytes('shm-size'),
    ulimits: list(flags.ulimits()),
    securityopt: list(args.all('security-opt')),
  };
}

/** Shows what is told, and returns the id of the image. Errors: those of the stream. */
async function follow(messages: AsyncGenerator<StreamMessage>): Promise<string> {
  let id = '';
  const seen = async function* (): AsyncGenerator<StreamMessage> {
    for await (const message of messages) {
      const { ID: found } = (message.aux ?? {}) as { ID?: string };
      if (found !== undefined) id = found;
      yield message;
    }
  };
  await showProgress(seen(), process.stdout);
  return id;
}

const build: Command = {
  spec: {
    command: 'lamina build',
    usage: '[OPTIONS] PATH | URL | -',
    summary: 'Build an image from a Dockerfile',
    flags: FLAGS,
  },
  takes: [1, 1],
  async run(args) {
    const limits = resources(args, build.spec.command);
    const { upload, remote, dockerfile } = await buildContext(args.rest[0] ?? '', args.value('file') ?? '', args.has('compress'));
    const iidfile = args.value('iidfile');
    if (iidfile !== undefined) rmSync(iidfile, { force: true });
    const query: Query = {
      ...limits,
      t: args.all('tag'),
      dockerfile,
      remote,
      buildargs: JSON.stringify(buildArgs(args.all('build-arg'))),
      cachefrom: list(args.all('cache-from')),
      labels: JSON.stringify(pairs(args.all('label'))),
      nocache: args.has('no-cache'),
      platform: args.value('platform'),
      pull: args.has('pull'),
      rm: args.isOff('rm') ? '0' : '1',
      forcerm: args.has('force-rm'),
      target: args.value('target'),
      q: args.has('quiet'),
    };
    const id = await follow((await engine()).lines('POST', '/build', { query, ...(upload ? { upload } : {}) }));
    if (iidfile !== undefined) writeFileSync(iidfile, id);
    return 0;
  },
};

export const commands: Commands = { build };
