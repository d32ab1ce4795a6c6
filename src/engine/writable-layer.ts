// A container's writable layer as a stream of an image layer, for commit and build.

import { join } from 'node:path';
import { withRoot } from '../container/archive.js';
import type { Context } from '../container/context.js';
import { EngineError } from '../container/errors.js';
import { isUp } from '../container/state.js';
import { hasRedirects, packLayer } from '../image/index.js';
import { OPAQUE_MARKER, readMarks } from '../layer/format.js';
import { sys } from '../native/load.js';
import { AT_FDCWD, Open } from '../native/syscalls.js';
import type { ContainerRecord } from '../store/index.js';
import { blankHeader } from '../tar/tar-encode.js';

function openDirectory(path: string): number {
  const fd = sys.openat2(AT_FDCWD, Buffer.from(path).toString('latin1'), Open.RDONLY | Open.DIRECTORY, 0, 0);
  if (fd < 0) throw new EngineError(500, `${path}: cannot be read`);
  return fd;
}

/**
 * Gives `use` the tar of the container's changes. A renamed directory of the image goes in whole, read from the root, which
 * is mounted for it if need be; the container cannot start meanwhile.
 */
export async function withLayer<T>(
  context: Context,
  record: ContainerRecord,
  use: (layer: AsyncIterable<Buffer>) => Promise<T>,
): Promise<T> {
  const upper = openDirectory(join(context.directory(record.id), 'upper'));
  const root = join(context.directory(record.id), 'root');
  const pack = (): Promise<T> =>
    use(
      packLayer(upper, context.scheme, (dirfd, name, path) => {
        if (readMarks(dirfd, name, context.scheme).redirect === undefined) return undefined;
        const fd = openDirectory(`${root}/${Buffer.from(path, 'latin1').toString()}`);
        return { fd, before: [{ ...blankHeader(`${path}/${OPAQUE_MARKER}`, '0'), mode: 0o600 }] };
      }),
    );
  try {
    const needsRoot = isUp(record) || (await hasRedirects(upper, context.scheme));
    return needsRoot ? await withRoot(context, record, false, pack) : await pack();
  } finally {
    sys.close(upper);
  }
}

/** Whether the container has changed anything. */
export function hasChanges(context: Context, record: ContainerRecord): boolean {
  const upper = openDirectory(join(context.directory(record.id), 'upper'));
  try {
    const listing = sys.readdir(upper);
    return typeof listing === 'number' || listing.names.length > 0;
  } finally {
    sys.close(upper);
  }
}
