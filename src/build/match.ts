// Wildcards: of COPY and ADD (Go's filepath.Match) and of .dockerignore (the same with `**`). Names are bytes. Pure.

/** A pattern that means nothing, such as `[a`. */
export class BadPattern extends Error {
  override readonly name = 'BadPattern';
}

/** Whether COPY looks for matches of a path. */
export function hasWildcards(path: string): boolean {
  for (let i = 0; i < path.length; i++) {
    if (path[i] === '\\') i++;
    else if ('*?['.includes(path[i] ?? '')) return true;
  }
  return false;
}

const literal = (char: string): string => (/[\\^$.*+?()[\]{}|/]/.test(char) ? `\\${char}` : char);

/** `[a-z]`, `[^a]` from `at`, which is behind the bracket. */
function bracket(pattern: string, at: number): { source: string; next: number } {
  const bad = (): BadPattern => new BadPattern('syntax error in pattern');
  let source = '[';
  let i = at;
  if (pattern[i] === '^') {
    source += '^';
    i++;
  }
  // `/` is never matched by a class.
  source += source === '[^' ? '/' : '';
  const char = (): string => {
    let each = pattern[i++];
    if (each === '\\') each = pattern[i++];
    if (each === undefined) throw bad();
    return each;
  };
  const shown = (each: string): string => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`;
  let ranges = 0;
  while (pattern[i] !== ']' || ranges === 0) {
    if (pattern[i] === undefined || pattern[i] === '-' || pattern[i] === ']') throw bad();
    const low = char();
    const high = pattern[i] === '-' ? (i++, char()) : low;
    if (low > high) throw bad();
    source += `${shown(low)}-${shown(high)}`;
    ranges++;
  }
  return { source: `${source}]`, next: i + 1 };
}

/** The regular expression of one path component, without anchors. Errors: BadPattern. */
export function componentSource(pattern: string): string {
  let source = '';
  for (let i = 0; i < pattern.length;) {
    const char = pattern[i++] ?? '';
    if (char === '*') source += '[^/]*';
    else if (char === '?') source += '[^/]';
    else if (char === '[') {
      const { source: inner, next } = bracket(pattern, i);
      source += inner;
      i = next;
    } else if (char === '\\') {
      const next = pattern[i++];
      if (next === undefined) throw new BadPattern('syntax error in pattern');
      source += literal(next);
    } else source += literal(char);
  }
  return source;
}

/** Matches one path component. Errors: BadPattern. */
export function componentMatcher(pattern: string): (name: string) => boolean {
  const expression = new RegExp(`^${componentSource(pattern)}$`, 's');
  return (name) => expression.test(name);
}
