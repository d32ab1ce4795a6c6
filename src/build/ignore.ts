// .dockerignore: its lines and what they exclude, as Docker's patternmatcher does. Paths are relative, without a leading or a
// trailing slash; names are bytes. Pure.

import { BadPattern, componentSource } from './match.js';

interface Rule {
  readonly expression: RegExp;
  readonly exclusion: boolean;
  /** Components of the pattern, for asking whether an exception may lie below a directory. */
  readonly text: string;
}

/** As Go's path.Clean of a relative path. */
function clean(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else parts.push(part);
  }
  return parts.join('/');
}

/** The whole path as an expression: `**` is any number of directories, at the end anything at all. */
function expression(pattern: string): RegExp {
  const [first = '', ...rest] = pattern.split(/\*\*+/);
  const last = rest.length - 1;
  const more = rest.map((text, i) => {
    if (i === last && text === '') return '.*';
    return `(?:.*/)?${componentSource(text.replace(/^\//, ''))}`;
  });
  return new RegExp(`^${componentSource(first)}${more.join('')}$`, 's');
}

export class IgnoreRules {
  readonly #rules: readonly Rule[];
  /** Whether a line brings something back. */
  readonly hasExceptions: boolean;

  /** Errors: BadPattern, which names the line. */
  constructor(text: string) {
    this.#rules = text
      .replace(/^\u00EF\u00BB\u00BF|^\uFEFF/, '')
      .split('\n')
      .flatMap((line): Rule[] => {
        if (line.startsWith('#')) return [];
        const trimmed = line.trim();
        if (trimmed === '') return [];
        const exclusion = trimmed.startsWith('!');
        const given = exclusion ? trimmed.slice(1).trim() : trimmed;
        if (given === '') throw new BadPattern(`illegal exclusion pattern: ${JSON.stringify(trimmed)}`);
        const pattern = clean(given);
        if (pattern === '') return [];
        try {
          return [{ expression: expression(pattern), exclusion, text: pattern }];
        } catch {
          throw new BadPattern(`failed to match ${JSON.stringify(trimmed)}: syntax error in pattern`);
        }
      });
    this.hasExceptions = this.#rules.some(({ exclusion }) => exclusion);
  }

  /** Whether the path, or a directory above it, is left out. The last line that fits decides. */
  excludes(path: string): boolean {
    const parts = path.split('/');
    const above = parts.map((_, i) => parts.slice(0, i + 1).join('/'));
    let excluded = false;
    for (const rule of this.#rules) {
      // A line that would change nothing need not be tried.
      if (rule.exclusion !== excluded) continue;
      if (above.some((each) => rule.expression.test(each))) excluded = !rule.exclusion;
    }
    return excluded;
  }

  /** Whether an excluded directory must still be looked into. */
  mayHoldExceptions(directory: string): boolean {
    const parts = directory.split('/');
    return this.#rules.some(({ exclusion, text }) => {
      if (!exclusion) return false;
      const own = text.split('/');
      for (let i = 0; i < parts.length; i++) {
        const part = own[i];
        if (part === undefined) return false;
        if (part.includes('**')) return true;
        if (!new RegExp(`^${componentSource(part)}$`, 's').test(parts[i] ?? '')) return false;
      }
      return true;
    });
  }
}
