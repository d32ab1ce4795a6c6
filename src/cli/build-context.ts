// The context of a build as it is sent: the directory without what .dockerignore leaves out, or an archive from stdin.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { IgnoreRules } from '../build/ignore.js';
import { sys } from '../native/load.js';
import { AT_FDCWD, Open } from '../native/syscalls.js';
import { packTree } from '../tar/pack-tree.js';

/** Errors: one that names what is missing. */
export function buildContext(directory: string, file: string | undefined): { upload: Readable; dockerfile: string } {
  if (directory === '-') return { upload: process.stdin, dockerfile: file ?? 'Dockerfile' };
  const top = resolve(directory);
  if (!statSync(top, { throwIfNoEntry: false })?.isDirectory()) {
    throw new Error(`unable to prepare context: path ${JSON.stringify(directory)} not found`);
  }
  const path =
    file === undefined
      ? join(top, 'Dockerfile')
      : isAbsolute(file)
        ? file
        : existsSync(resolve(file))
          ? resolve(file)
          : join(top, file);
  const dockerfile = relative(top, path);
  if (dockerfile.startsWith('..')) throw new Error(`the Dockerfile (${path}) must be within the build context`);
  if (!existsSync(path))
    throw new Error(
      `unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat ${path}: no such file or directory`,
    );
  const own = `${path}.dockerignore`;
  const ignore = existsSync(own) ? own : join(top, '.dockerignore');
  const rules = new IgnoreRules(existsSync(ignore) ? readFileSync(ignore, 'latin1') : '');
  // The engine reads both, and leaves them out of what COPY sees.
  const always = [dockerfile, '.dockerignore'].map((name) => Buffer.from(name).toString('latin1'));
  const keeps = (path: string): boolean =>
    always.some((each) => each === path || each.startsWith(`${path}/`)) || !rules.excludes(path) || rules.mayHoldExceptions(path);
  const fd = sys.openat2(AT_FDCWD, Buffer.from(top).toString('latin1'), Open.RDONLY | Open.DIRECTORY, 0, 0);
  if (fd < 0) throw new Error(`${top}: cannot be read`);
  const pack = packTree(fd, {
    top: '',
    xattr: () => undefined,
    crossMounts: true,
    entries: (_, at, names) => names.filter((name) => keeps(at === '' ? name : `${at}/${name}`)).map((name) => ({ name })),
  });
  return { upload: Readable.from(closing(pack, fd), { objectMode: false }), dockerfile };
}

async function* closing(pack: AsyncIterable<Buffer>, fd: number): AsyncGenerator<Buffer> {
  try {
    yield* pack;
  } finally {
    sys.close(fd);
  }
}
