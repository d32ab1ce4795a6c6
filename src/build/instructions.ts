// What an instruction of a Dockerfile says: its flags and arguments, checked as Docker's parser checks them. Variables are
// still in place; steps put them in. Pure.

import { parseError } from './build-error.js';
import type { Heredoc, RawInstruction } from './dockerfile.js';
import { type Health, parseHealthcheck } from './healthcheck.js';
import { rawWords } from './shell-words.js';
import { type Flags, takeFlags } from './flags.js';

/** The exec form, or a line for the shell. */
export type Command = { readonly exec: readonly string[] } | { readonly shell: string; readonly heredocs: readonly Heredoc[] };

export type Pair = readonly [name: string, value: string];

export interface CopyInstruction {
  readonly kind: 'COPY' | 'ADD';
  readonly sources: readonly string[];
  /** Files written in the Dockerfile. */
  readonly contents: readonly Heredoc[];
  readonly destination: string;
  /** Stage or image; undefined is the context. */
  readonly from?: string;
  readonly chown?: string;
  readonly chmod?: string;
  /** Of what a URL of ADD gives. */
  readonly checksum?: string;
}

export interface RunInstruction {
  readonly kind: 'RUN';
  readonly command: Command;
  readonly network?: string;
}

export interface FromInstruction {
  readonly kind: 'FROM';
  readonly image: string;
  /** Lower case. */
  readonly name?: string;
  readonly platform?: string;
}

export type ConfigInstruction =
  | { readonly kind: 'ENV' | 'LABEL'; readonly pairs: readonly Pair[] }
  | { readonly kind: 'CMD' | 'ENTRYPOINT'; readonly command: Command }
  | { readonly kind: 'EXPOSE'; readonly ports: readonly string[] }
  | { readonly kind: 'VOLUME'; readonly paths: readonly string[] }
  | { readonly kind: 'SHELL'; readonly shell: readonly string[] }
  | { readonly kind: 'USER' | 'STOPSIGNAL' | 'MAINTAINER'; readonly text: string }
  | { readonly kind: 'HEALTHCHECK'; readonly health: Health }
  | { readonly kind: 'ONBUILD'; readonly trigger: string };

export interface ArgInstruction {
  readonly kind: 'ARG';
  readonly args: readonly { readonly name: string; readonly value?: string }[];
}

export interface WorkdirInstruction {
  readonly kind: 'WORKDIR';
  readonly text: string;
}

export type StepInstruction = ArgInstruction | ConfigInstruction | CopyInstruction | RunInstruction | WorkdirInstruction;

export type Parsed = { readonly line: number; readonly original: string } & (FromInstruction | StepInstruction);

/** `["a", "b"]`; undefined when the text is no JSON array. Throws when it is one of something else than strings. */
function jsonForm(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(parsed)) return undefined;
  if (parsed.every((item): item is string => typeof item === 'string')) return parsed;
  throw new Error('when using JSON array syntax, arrays must be comprised of strings only');
}

function command(raw: RawInstruction, text: string): Command {
  const exec = raw.heredocs.length > 0 ? undefined : jsonForm(text);
  return exec ? { exec } : { shell: text, heredocs: raw.heredocs };
}

const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');
const list = (text: string): string[] => jsonForm(text) ?? words(text);

/** `k=v k2="v 2"`, or the old `k v`. */
function pairs(text: string, keyword: string, escape: string): Pair[] {
  const parts = rawWords(text, escape);
  if (parts[0]?.includes('=') !== true) {
    const [, name = '', value = ''] = /^(\S+)\s+(.+)$/s.exec(text) ?? [];
    if (name === '') throw new Error(`${keyword} must have two arguments`);
    return [[name, value]];
  }
  return parts.map((part) => {
    const equals = part.indexOf('=');
    if (equals === -1) throw new Error(`Syntax error - can't find = in ${JSON.stringify(part)}. Must be of the form: name=value`);
    if (equals === 0) throw new Error(`${keyword} names can not be blank`);
    return [part.slice(0, equals), part.slice(equals + 1)];
  });
}

function args(text: string, escape: string): ArgInstruction['args'] {
  return rawWords(text, escape).map((part) => {
    const equals = part.indexOf('=');
    if (equals === 0) throw new Error('ARG names can not be blank');
    return equals === -1 ? { name: part } : { name: part.slice(0, equals), value: part.slice(equals + 1) };
  });
}

function from(text: string, flags: Flags): FromInstruction {
  const parts = words(text);
  const [image = '', as = '', name] = parts;
  if ((parts.length !== 1 && parts.length !== 3) || (parts.length === 3 && as.toUpperCase() !== 'AS'))
    throw new Error('FROM requires either one or three arguments');
  const stage = name?.toLowerCase();
  if (stage !== undefined && !/^[a-z][a-z0-9\-_.]*$/.test(stage))
    throw new Error(`invalid name for build stage: ${JSON.stringify(name)}, name can't start with a number or contain symbols`);
  return { kind: 'FROM', image, name: stage, platform: flags.get('platform') };
}

function copy(kind: 'COPY' | 'ADD', raw: RawInstruction, text: string, flags: Flags): CopyInstruction {
  const all = raw.heredocs.length > 0 ? words(text) : list(text);
  const destination = all.pop();
  if (destination === undefined || all.length === 0)
    throw new Error(`${kind} requires at least two arguments, but only one was provided. Destination could not be determined`);
  const sources = all.filter((word) => !/^\d*<<-?[^<]+$/.test(word) || raw.heredocs.length === 0);
  return {
    kind,
    sources,
    contents: raw.heredocs,
    destination,
    from: flags.get('from'),
    chown: flags.get('chown'),
    chmod: flags.get('chmod'),
    checksum: flags.get('checksum'),
  };
}

function run(raw: RawInstruction, text: string, flags: Flags): RunInstruction {
  const network = flags.get('network');
  if (network !== undefined && !['default', 'none', 'host'].includes(network))
    throw new Error(`unsupported network mode ${JSON.stringify(network)}`);
  return { kind: 'RUN', command: command(raw, text), network: network === 'default' ? undefined : network };
}

function onbuild(raw: RawInstruction): ConfigInstruction {
  const [, word = ''] = /^(\S+)/.exec(raw.rest) ?? [];
  const inner = word.toUpperCase();
  if (inner === 'ONBUILD') throw new Error("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (inner === 'MAINTAINER' || inner === 'FROM') throw new Error(`${inner} isn't allowed as an ONBUILD trigger`);
  const documents = raw.heredocs.map((heredoc) => `\n${heredoc.source}`).join('');
  return { kind: 'ONBUILD', trigger: `${raw.rest}${documents}`.trimEnd() };
}

function shell(text: string): ConfigInstruction {
  const parsed = jsonForm(text);
  if (!parsed) throw new Error('SHELL requires the arguments to be in JSON form');
  if (parsed.length === 0) throw new Error('SHELL requires at least one argument');
  return { kind: 'SHELL', shell: parsed };
}

function exactlyOne(kind: 'USER' | 'STOPSIGNAL' | 'WORKDIR' | 'MAINTAINER', text: string): string {
  if (kind === 'STOPSIGNAL' && words(text).length !== 1) throw new Error(`${kind} requires exactly one argument`);
  return text;
}

function parse(raw: RawInstruction, escape: string): FromInstruction | StepInstruction {
  const { keyword } = raw;
  const { flags, rest } = takeFlags(keyword, raw.rest, escape);
  const empty = rest === '';
  switch (keyword) {
    case 'FROM':
      return from(rest, flags);
    case 'COPY':
    case 'ADD':
      return copy(keyword, raw, rest, flags);
    case 'RUN':
      if (empty) throw new Error('RUN requires at least one argument');
      return run(raw, rest, flags);
    case 'CMD':
    case 'ENTRYPOINT':
      return { kind: keyword, command: empty ? { exec: [] } : command(raw, rest) };
    case 'HEALTHCHECK':
      return { kind: keyword, health: parseHealthcheck(rest, flags, (text) => command(raw, text)) };
    case 'SHELL':
      return shell(rest);
  }
  const single = ['USER', 'STOPSIGNAL', 'WORKDIR', 'MAINTAINER'].includes(keyword);
  if (!KEYWORDS.includes(keyword)) throw new Error(`unknown instruction: ${keyword}`);
  if (empty) throw new Error(`${keyword} requires ${single ? 'exactly' : 'at least'} one argument`);
  switch (keyword) {
    case 'ARG':
      return { kind: keyword, args: args(rest, escape) };
    case 'ENV':
    case 'LABEL':
      return { kind: keyword, pairs: pairs(rest, keyword, escape) };
    case 'EXPOSE':
      return { kind: keyword, ports: words(rest) };
    case 'VOLUME':
      return { kind: keyword, paths: list(rest) };
    case 'ONBUILD':
      return onbuild({ ...raw, rest });
    default:
      return { kind: keyword as 'USER', text: exactlyOne(keyword as 'USER', rest) };
  }
}

const KEYWORDS: readonly string[] = [
  ...['ARG', 'ENV', 'LABEL', 'EXPOSE', 'VOLUME', 'ONBUILD'],
  ...['USER', 'STOPSIGNAL', 'WORKDIR', 'MAINTAINER'],
];

/** Parses one instruction. Errors: BuildError that names the line. */
export function parseInstruction(raw: RawInstruction, escape: string): Parsed {
  try {
    return { line: raw.line, original: raw.original, ...parse(raw, escape) };
  } catch (error) {
    throw parseError(raw.line, error instanceof Error ? error.message : String(error));
  }
}
