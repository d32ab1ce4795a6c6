// Paths as text: cleaned without asking a file system, as Go's path.Clean and filepath.IsLocal do. Used by the parsers.

/** An absolute path without `.`, `..`, repeated and trailing slashes; `..` stops at the root. */
export function cleanPath(path: string): string {
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return `/${names.join('/')}`;
}

/** Whether a relative path stays below where it starts, read as text. */
export function isLocalPath(path: string): boolean {
  if (path === '' || path.startsWith('/')) return false;
  let depth = 0;
  for (const name of path.split('/')) {
    if (name === '..') depth--;
    else if (name !== '' && name !== '.') depth++;
    if (depth < 0) return false;
  }
  return true;
}

/** How many names an absolute path has. */
export function depthOf(path: string): number {
  return path.split('/').filter((name) => name !== '').length;
}
