// .dockerignore: which paths of a context are left out. Patterns as Go's filepath.Match with `**`; the last one that fits a
// path (or a directory above it) decides, `!` takes back. Used by the command line, which packs the context.

interface Rule {
  readonly keep: boolean;
  readonly expression: RegExp;
  /** The pattern's own text, to know whether something below a directory might be taken back. */
  readonly pattern: string;
}

function translate(pattern: string): RegExp {
  let source = '';
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i] ?? '';
    if (char === '*' && pattern[i + 1] === '*') {
      i++;
      if (pattern[i + 1] === '/') i++;
      source += i + 1 >= pattern.length ? '.*' : '(?:.*/)?';
    } else if (char === '*') source += '[^/]*';
    else if (char === '?') source += '[^/]';
    else if (char === '[') {
      const end = pattern.indexOf(']', i + 1);
      if (end < 0) throw new Error(`error from .dockerignore: syntax error in pattern ${JSON.stringify(pattern)}`);
      source += `[${pattern.slice(i + 1, end).replace(/\\/g, '\\\\')}]`;
      i = end;
    } else if (char === '\\' && i + 1 < pattern.length) source += `\\${pattern[++i] ?? ''}`;
    else source += char.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  }
  return new RegExp(`^${source}(?:/.*)?$`);
}

function clean(line: string): string {
  const parts: string[] = [];
  for (const part of line.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

export class IgnoreRules {
  readonly #rules: Rule[] = [];

  /** @param always paths that are kept whatever the rules say */
  constructor(
    text: string,
    private readonly always: readonly string[] = [],
  ) {
    for (const raw of text.replace(/^\ufeff/, '').split('\n')) {
      const line = raw.trim();
      if (line === '' || raw.startsWith('#')) continue;
      const keep = line.startsWith('!');
      const pattern = clean(keep ? line.slice(1).trim() : line);
      if (pattern !== '') this.#rules.push({ keep, pattern, expression: translate(pattern) });
    }
  }

  /** Whether a path, relative to the context, goes into it. A directory does when something below it may. */
  keeps(path: string): boolean {
    if (this.always.some((each) => each === path || each.startsWith(`${path}/`))) return true;
    let kept = true;
    for (const { keep, expression } of this.#rules) if (expression.test(path)) kept = keep;
    return (
      kept ||
      this.#rules.some(
        ({ keep, pattern }) => keep && (pattern.startsWith(`${path}/`) || /[*?[]/.test(pattern.split('/')[0] ?? '')),
      )
    );
  }
}
