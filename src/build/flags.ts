// `--name=value` before the arguments of an instruction. Flags that only BuildKit can follow are refused by name. Pure.

import { rawWords } from './shell-words.js';

export type Flags = ReadonlyMap<string, string>;

const KNOWN: Readonly<Record<string, readonly string[]>> = {
  FROM: ['platform'],
  COPY: ['from', 'chown', 'chmod', 'link'],
  ADD: ['chown', 'chmod', 'link', 'checksum'],
  RUN: ['network'],
  HEALTHCHECK: ['interval', 'timeout', 'start-period', 'start-interval', 'retries'],
};

/** Flags that change what a step does in ways that this builder does not know. */
const BUILDKIT: Readonly<Record<string, readonly string[]>> = {
  COPY: ['parents', 'exclude'],
  ADD: ['keep-git-dir', 'exclude', 'unpack'],
  RUN: ['mount', 'security', 'device'],
};

/** Takes the flags off the arguments of `keyword`. Throws an Error without the line. */
export function takeFlags(keyword: string, text: string, escape: string): { flags: Flags; rest: string } {
  const flags = new Map<string, string>();
  let rest = text;
  for (;;) {
    const word = /^--\S*/.exec(rest)?.[0];
    if (word === undefined) return { flags, rest };
    // Only words may be quoted, so the raw reading of the rest gives the flag with its quotes.
    const raw = rawWords(rest, escape)[0] ?? word;
    rest = rest.slice(raw.length).trimStart();
    if (raw === '--') return { flags, rest };
    const [, name = '', equals, value = ''] = /^--([^=]*)(=?)(.*)$/s.exec(raw) ?? [];
    if (BUILDKIT[keyword]?.includes(name))
      throw new Error(
        `the --${name} option requires BuildKit, which this builder is not: write the step without it, or build elsewhere and load the image`,
      );
    if (!KNOWN[keyword]?.includes(name)) throw new Error(`unknown flag: --${name}`);
    if (flags.has(name)) throw new Error(`duplicate flag specified: --${name}`);
    if (equals === '' && name !== 'link') throw new Error(`missing a value on flag: --${name}`);
    if (name === 'link' && !['', 'true', 'false'].includes(value))
      throw new Error(`expecting boolean value for flag --link, not: ${value}`);
    flags.set(name, value);
  }
}
