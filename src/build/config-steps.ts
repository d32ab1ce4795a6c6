// Instructions that change only an image's config: what the config is afterwards, and what its history says. Pure.

import { constants } from 'node:os';
import { BuildError } from './build-error.js';
import type { Health } from './healthcheck.js';
import type { BuildConfig } from './host.js';
import type { Command, ConfigInstruction, Pair } from './instructions.js';
import { expandWord, expandWords } from './shell-words.js';

export interface ConfigChange {
  readonly config: BuildConfig;
  /** `ENV a=b`. */
  readonly comment: string;
  readonly author?: string;
}

/** Puts variables into one word, and into a text that may become several. */
export interface Expansion {
  readonly word: (text: string) => string;
  readonly words: (text: string) => string[];
  /** In a here-document, where quotes mean nothing. */
  readonly document: (text: string) => string;
}

/** With these variables, `NAME=value`; of two of a name the later counts. */
export function expansionOf(variables: readonly string[], escape: string): Expansion {
  const values = new Map(variables.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]));
  const value = (name: string): string | undefined => values.get(name);
  return {
    word: (text) => expandWord(text, value, { escape }),
    words: (text) => expandWords(text, value, { escape }),
    document: (text) => expandWord(text, value, { escape, quotes: false }),
  };
}

const DEFAULT_SHELL: readonly string[] = ['/bin/sh', '-c'];

export const shellOf = (config: BuildConfig): readonly string[] =>
  config.Shell && config.Shell.length > 0 ? config.Shell : DEFAULT_SHELL;

/** A command as an argument vector. A line for the shell takes its here-documents along. */
export function commandLine(command: Command, config: BuildConfig): string[] {
  if ('exec' in command) return [...command.exec];
  const [script, ...more] = command.heredocs;
  // A here-document alone is what the shell runs.
  if (script && more.length === 0 && /^<<-?(["']?)\w+\1$/.test(command.shell.trim())) {
    if (script.content.startsWith('#!'))
      throw new BuildError(
        'a here-document with an interpreter of its own requires BuildKit: COPY it to a file and run that',
        400,
      );
    return [...shellOf(config), script.content.replace(/\n$/, '')];
  }
  const documents = command.heredocs.map(({ source }) => `\n${source.replace(/\n$/, '')}`).join('');
  return [...shellOf(config), `${command.shell}${documents}`];
}

/** The environment with one variable set, where it was or at the end. */
export function withEnv(environment: readonly string[], [name, value]: Pair): string[] {
  const entry = `${name}=${value}`;
  const at = environment.findIndex((each) => each.split('=', 1)[0] === name);
  return at === -1 ? [...environment, entry] : environment.with(at, entry);
}

/** As Docker cleans a path: absolute, no `.`, no `..`. */
function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

/** What WORKDIR leads to. Errors: BuildError. */
export function workingDirectory(config: BuildConfig, text: string, { word }: Expansion): string {
  const given = word(text);
  if (given === '') throw new BuildError('cannot normalize nothing', 400);
  return cleanPath(given.startsWith('/') ? given : `${config.WorkingDir ?? ''}/${given}`);
}

const quoted = (words: readonly string[]): string => `[${words.map((word) => JSON.stringify(word)).join(' ')}]`;

/** `80`, `80-90/udp`, `8080:80`: the ports of the container. Errors: BuildError. */
function ports(spec: string): string[] {
  const [range = '', protocol = 'tcp'] = spec.split('/');
  const own = range.slice(range.lastIndexOf(':') + 1);
  const [, first = '', last = first] = /^(\d+)(?:-(\d+))?$/.exec(own) ?? [];
  const [from, to] = [Number(first), Number(last)];
  if (first === '' || from > 65535 || to > 65535 || from > to) throw new BuildError(`invalid containerPort: ${own}`, 400);
  if (!['tcp', 'udp', 'sctp'].includes(protocol.toLowerCase())) throw new BuildError(`invalid proto: ${protocol}`, 400);
  return Array.from({ length: to - from + 1 }, (_, i) => `${from + i}/${protocol.toLowerCase()}`);
}

const asKeys = (keys: readonly string[]): Record<string, object> => Object.fromEntries(keys.map((key) => [key, {}]));

function checkSignal(text: string): string {
  const name = text.toUpperCase().replace(/^SIG/, '');
  const isNumber = /^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= 64;
  const isName = `SIG${name}` in constants.signals || /^RT(?:MIN(?:\+\d{1,2})?|MAX(?:-\d{1,2})?)$/.test(name);
  if (!isNumber && !isName) throw new BuildError(`invalid signal: ${text}`, 400);
  return text;
}

const listed = (pairs: readonly Pair[]): string => pairs.map(([name, value]) => `${name}=${value}`).join(' ');

function expandedPairs(pairs: readonly Pair[], expansion: Expansion): Pair[] {
  return pairs.map(([name, value]) => [expansion.word(name), expansion.word(value)]);
}

function env(config: BuildConfig, pairs: readonly Pair[], expansion: Expansion): ConfigChange {
  const set = expandedPairs(pairs, expansion);
  return { config: { ...config, Env: set.reduce(withEnv, [...(config.Env ?? [])]) }, comment: `ENV ${listed(set)}` };
}

function label(config: BuildConfig, pairs: readonly Pair[], expansion: Expansion): ConfigChange {
  const set = expandedPairs(pairs, expansion);
  return { config: { ...config, Labels: { ...config.Labels, ...Object.fromEntries(set) } }, comment: `LABEL ${listed(set)}` };
}

function cmd(config: BuildConfig, command: Command): ConfigChange {
  const words = commandLine(command, config);
  return { config: { ...config, Cmd: words }, comment: `CMD ${quoted(words)}` };
}

function entrypoint(config: BuildConfig, command: Command, cmdSet: boolean): ConfigChange {
  const words = commandLine(command, config);
  const value = words.length === 0 ? null : words;
  return {
    config: { ...config, Entrypoint: value, ...(cmdSet ? {} : { Cmd: null }) },
    comment: `ENTRYPOINT ${quoted(words)}`,
  };
}

function expose(config: BuildConfig, specs: readonly string[], expansion: Expansion): ConfigChange {
  const all = specs.flatMap((text) => expansion.words(text)).flatMap(ports);
  const comment = `EXPOSE ${[...new Set(all)].sort().join(' ')}`;
  return { config: { ...config, ExposedPorts: { ...config.ExposedPorts, ...asKeys(all) } }, comment };
}

function volume(config: BuildConfig, texts: readonly string[], expansion: Expansion): ConfigChange {
  const paths = texts.map((path) => expansion.word(path));
  if (paths.some((path) => path.trim() === '')) throw new BuildError('VOLUME specified can not be an empty string', 400);
  return { config: { ...config, Volumes: { ...config.Volumes, ...asKeys(paths) } }, comment: `VOLUME [${paths.join(' ')}]` };
}

function user(config: BuildConfig, text: string, expansion: Expansion): ConfigChange {
  const name = expansion.word(text);
  return { config: { ...config, User: name }, comment: `USER ${name}` };
}

function stopSignal(config: BuildConfig, text: string, expansion: Expansion): ConfigChange {
  const signal = checkSignal(expansion.word(text));
  return { config: { ...config, StopSignal: signal }, comment: `STOPSIGNAL ${signal}` };
}

function healthcheck(config: BuildConfig, { test, times }: Health): ConfigChange {
  const words = !test ? ['NONE'] : 'exec' in test ? ['CMD', ...test.exec] : ['CMD-SHELL', test.shell];
  const options = Object.entries(times).map(([name, value]) => ` ${name}=${value}`);
  return {
    config: { ...config, Healthcheck: { Test: words, ...times } },
    comment: `HEALTHCHECK ${quoted(words)}${options.join('')}`,
  };
}

function onBuild(config: BuildConfig, trigger: string): ConfigChange {
  return { config: { ...config, OnBuild: [...(config.OnBuild ?? []), trigger] }, comment: `ONBUILD ${trigger}` };
}

/**
 * @param cmdSet whether the stage has said CMD: only then does it outlive ENTRYPOINT
 * Errors: BuildError.
 */
export function applyConfig(
  config: BuildConfig,
  instruction: ConfigInstruction,
  expansion: Expansion,
  cmdSet: boolean,
): ConfigChange {
  switch (instruction.kind) {
    case 'ENV':
      return env(config, instruction.pairs, expansion);
    case 'LABEL':
      return label(config, instruction.pairs, expansion);
    case 'CMD':
      return cmd(config, instruction.command);
    case 'ENTRYPOINT':
      return entrypoint(config, instruction.command, cmdSet);
    case 'EXPOSE':
      return expose(config, instruction.ports, expansion);
    case 'VOLUME':
      return volume(config, instruction.paths, expansion);
    case 'SHELL':
      return { config: { ...config, Shell: instruction.shell }, comment: `SHELL [${instruction.shell.join(' ')}]` };
    case 'USER':
      return user(config, instruction.text, expansion);
    case 'STOPSIGNAL':
      return stopSignal(config, instruction.text, expansion);
    case 'MAINTAINER':
      return { config, comment: `MAINTAINER ${instruction.text}`, author: instruction.text };
    case 'HEALTHCHECK':
      return healthcheck(config, instruction.health);
    case 'ONBUILD':
      return onBuild(config, instruction.trigger);
  }
}
