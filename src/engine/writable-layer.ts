// A container's writable layer as a stream of an image layer, for commit and build.

import { join } from 'node:path';
import type { Context } from '../container/context.js';
import { EngineError } from '../container/errors.js';
import { isUp } from '../container/lifecycle.js';
import { mountRoot } from '../container/start.js';
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

/** The tar of the container's changes. A renamed directory of the image goes in whole, read from the mounted root. */
export async function* layerOf(context: Context, record: ContainerRecord): AsyncGenerator<Buffer> {
  const upper = openDirectory(join(context.directory(record.id), 'upper'));
  const root = join(context.directory(record.id), 'root');
  let mounted = false;
  try {
    mounted = !isUp(record) && (await hasRedirects(upper, context.scheme));
    if (mounted) await mountRoot(context, record);
    yield* packLayer(upper, context.scheme, (dirfd, name, path) => {
      if (readMarks(dirfd, name, context.scheme).redirect === undefined) return undefined;
      const fd = openDirectory(`${root}/${Buffer.from(path, 'latin1').toString()}`);
      return { fd, before: [{ ...blankHeader(`${path}/${OPAQUE_MARKER}`, '0'), mode: 0o600 }] };
    });
  } finally {
    sys.close(upper);
    if (mounted) await (await context.supervisor()).call('unmount', { id: record.id });
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
