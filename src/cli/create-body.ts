// The request that the flags of `run` and `create` make: Docker's, field by field. What of it is HostConfig is in
// host-config.ts.

import { readFileSync } from 'node:fs';
import { parseDuration } from '../build/duration.js';
import { type Arguments, UsageError } from './arguments.js';
import { environment, pairs } from './common-flags.js';
import { ContainerFlags, hostConfig, volumes } from './host-config.js';
import { parsePorts } from './port-specs.js';
import { streamsOf } from './run-flags.js';

/** Lines of an `--env-file` or `--label-file`; comments and empty ones left out. */
function linesOf(file: string, command: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new UsageError(`open ${file}: ${missing ? 'no such file or directory' : (error as Error).message}`, command);
  }
  return text
    .split('\n')
    .map((line) => line.replace(/^\s+|\r$/g, ''))
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** Of a file, names that are not set here are left out. */
function fileEnvironment(files: readonly string[], command: string): string[] {
  return environment(files.flatMap((file) => linesOf(file, command))).filter((entry) => entry.includes('='));
}

function networking(args: Arguments): object {
  const network = args.value('network') ?? 'default';
  const aliases = args.all('network-alias');
  const ip = args.value('ip');
  if (aliases.length === 0 && ip === undefined) return {};
  return {
    EndpointsConfig: { [network]: { Aliases: aliases, ...(ip === undefined ? {} : { IPAMConfig: { IPv4Address: ip } }) } },
  };
}

/** A flag's duration in nanoseconds. */
function duration(flags: ContainerFlags, name: string): number | undefined {
  const text = flags.args.value(name);
  if (text === undefined) return undefined;
  return parseDuration(text) ?? flags.fail(name, text, `time: invalid duration ${JSON.stringify(text)}`);
}

/** `--health-*` and `--no-healthcheck`. */
function health(flags: ContainerFlags): object {
  const { args } = flags;
  const retries = flags.integer('health-retries');
  if ((retries ?? 0) < 0) throw new UsageError('--health-retries cannot be negative', flags.command);
  const command = args.value('health-cmd');
  const fields = {
    Test: command === undefined ? undefined : ['CMD-SHELL', command],
    Interval: duration(flags, 'health-interval'),
    Timeout: duration(flags, 'health-timeout'),
    StartPeriod: duration(flags, 'health-start-period'),
    StartInterval: duration(flags, 'health-start-interval'),
    Retries: retries,
  };
  const given = Object.values(fields).some((value) => value !== undefined);
  if (!args.has('no-healthcheck')) return given ? { Healthcheck: fields } : {};
  if (given) throw new UsageError('--no-healthcheck conflicts with --health-* options', flags.command);
  return { Healthcheck: { Test: ['NONE'] } };
}

/** The body of `POST /containers/create`. Errors: UsageError, VolumeSpecError. */
export function createBody(args: Arguments, command: string, detached: boolean): object {
  const flags = new ContainerFlags(args, command);
  const [image = '', ...words] = args.rest;
  const streams = streamsOf(args, command);
  const entrypoint = args.value('entrypoint');
  const stdin = args.has('interactive');
  return {
    Hostname: args.value('hostname') ?? '',
    User: args.value('user') ?? '',
    AttachStdin: !detached && streams.stdin,
    AttachStdout: !detached && streams.stdout,
    AttachStderr: !detached && streams.stderr,
    ExposedPorts: parsePorts(args.all('publish'), args.all('expose')).exposed,
    Tty: args.has('tty'),
    OpenStdin: stdin,
    StdinOnce: !detached && stdin,
    Env: [...fileEnvironment(args.all('env-file'), command), ...environment(args.all('env'))],
    Cmd: words.length > 0 ? words : null,
    Image: image,
    Volumes: volumes(args).anonymous,
    WorkingDir: args.value('workdir') ?? '',
    Entrypoint: entrypoint === undefined ? null : [entrypoint],
    Domainname: args.value('domainname') ?? '',
    ...health(flags),
    Labels: pairs([...args.all('label-file').flatMap((file) => linesOf(file, command)), ...args.all('label')]),
    ...(args.has('mac-address') ? { MacAddress: args.value('mac-address') } : {}),
    ...(args.has('stop-signal') ? { StopSignal: args.value('stop-signal') } : {}),
    ...(args.has('stop-timeout') ? { StopTimeout: flags.integer('stop-timeout') } : {}),
    HostConfig: hostConfig(flags),
    NetworkingConfig: networking(args),
  };
}
