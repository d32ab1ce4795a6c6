// `--change` of commit and import: Dockerfile instructions on an image's config.

import { posix } from 'node:path';
import { type Variables, SubstitutionError, expandWord, rawWords } from '../build/shell-words.js';
import { badParameter } from '../container/errors.js';

type Config = Record<string, unknown>;

const ESCAPE = '\\';

/** One word, with quotes, backslashes and variables as in a Dockerfile. */
function expanded(text: string, variables: Variables): string {
  try {
    return expandWord(text, variables, { escape: ESCAPE });
  } catch (error) {
    throw error instanceof SubstitutionError ? badParameter(error.message) : error;
  }
}

function words(text: string, variables: Variables): string[] {
  return rawWords(text, ESCAPE).map((word) => expanded(word, variables));
}

/** `["a","b"]`, or a line for the shell. */
function command(text: string, shell: readonly string[]): string[] {
  if (text.trimStart().startsWith('[')) {
    try {
      const parsed: unknown = JSON.parse(text);
      if (Array.isArray(parsed) && parsed.every((word) => typeof word === 'string')) return parsed;
    } catch {
      // Not JSON, so it is a line for the shell.
    }
  }
  return [...shell, text];
}

/** `k=v k2="v 2"`, or the old `k v`. */
function pairs(text: string, instruction: string, variables: Variables): [string, string][] {
  if (!/^\S+=/.test(text)) {
    const [, key = '', value = ''] = /^(\S+)\s+(.*)$/s.exec(text) ?? [];
    if (key === '') throw badParameter(`${instruction} must have two arguments`);
    return [[key, expanded(value, variables)]];
  }
  return words(text, variables).map((word) => {
    const equals = word.indexOf('=');
    if (equals < 1) throw badParameter(`Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`);
    return [word.slice(0, equals), word.slice(equals + 1)];
  });
}

function list(text: string, variables: Variables): string[] {
  return text.trimStart().startsWith('[') ? command(text, []) : words(text, variables);
}

function merged(config: Config, field: string, keys: readonly string[]): Config {
  const old = (config[field] ?? {}) as Record<string, object>;
  return { ...config, [field]: { ...old, ...Object.fromEntries(keys.map((key) => [key, {}])) } };
}

function splitOnce(entry: string): [name: string, value: string] {
  const equals = entry.indexOf('=');
  return equals < 0 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)];
}

function setEnv(config: Config, entries: readonly [string, string][]): Config {
  const env = new Map(((config['Env'] ?? []) as string[]).map((entry) => [entry.split('=', 1)[0] ?? '', entry]));
  for (const [key, value] of entries) env.set(key, `${key}=${value}`);
  return { ...config, Env: [...env.values()] };
}

function apply(config: Config, line: string): Config {
  const [, word = '', rest = ''] = /^\s*(\S+)\s*(.*)$/s.exec(line) ?? [];
  const instruction = word.toUpperCase();
  const env = new Map(((config['Env'] ?? []) as string[]).map((entry) => splitOnce(entry)));
  const variables: Variables = (name) => env.get(name);
  const shell = (config['Shell'] as string[] | undefined) ?? ['/bin/sh', '-c'];
  if (rest === '') throw badParameter(`${instruction} requires at least one argument`);
  switch (instruction) {
    case 'CMD':
      return { ...config, Cmd: command(rest, shell) };
    case 'ENTRYPOINT':
      return { ...config, Entrypoint: command(rest, shell) };
    case 'ENV':
      return setEnv(config, pairs(rest, instruction, variables));
    case 'LABEL':
      return {
        ...config,
        Labels: { ...(config['Labels'] as object | null), ...Object.fromEntries(pairs(rest, instruction, variables)) },
      };
    case 'EXPOSE':
      return merged(
        config,
        'ExposedPorts',
        words(rest, variables).map((port) => (port.includes('/') ? port : `${port}/tcp`)),
      );
    case 'VOLUME':
      return merged(config, 'Volumes', list(rest, variables));
    case 'USER':
      return { ...config, User: expanded(rest.trim(), variables) };
    case 'WORKDIR':
      return {
        ...config,
        WorkingDir: posix.resolve('/', (config['WorkingDir'] as string | undefined) ?? '', expanded(rest.trim(), variables)),
      };
    case 'STOPSIGNAL':
      return { ...config, StopSignal: expanded(rest.trim(), variables) };
    case 'ONBUILD':
      return { ...config, OnBuild: [...((config['OnBuild'] as string[] | null) ?? []), rest] };
    default:
      throw badParameter(`${word} is not a valid change command`);
  }
}

/** The config after all changes. Errors: 400, Docker's words. */
export function applyChanges(config: Config, changes: readonly string[]): Config {
  return changes
    .flatMap((text) => text.split('\n'))
    .filter((line) => line.trim() !== '')
    .reduce(apply, config);
}
