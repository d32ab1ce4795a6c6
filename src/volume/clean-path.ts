// Paths as text: cleaned without asking a file system, as Go's path.Clean does. Used by the parsers.

/** An absolute path without `.`, `..`, repeated and trailing slashes; `..` stops at the root. */
export function cleanPath(path: string): string {
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return `/${names.join('/')}`;
}

/** How many names an absolute path has. */
export function depthOf(path: string): number {
  return path.split('/').filter((name) => name !== '').length;
}
