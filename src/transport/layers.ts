// Opening what a plan names: layers, upper and work become places of a native mount. Runs in the worker.

import { sys } from '../native/load.js';
import { NodeFlag, type NativeMount, type PlaceId } from '../native/mount.js';
import { AT_FDCWD, Open } from '../native/syscalls.js';
import { errnoText } from '../abi/errno.js';
import type { LayerStack } from '../union/stack.js';
import { emptyDirectory } from '../union/work.js';
import type { MountPlan } from './plan.js';

/** Something the plan names cannot be used; the message is for the user. */
export class MountError extends Error {
  override readonly name = 'MountError';
}

function openDirectory(path: string, what: string): number {
  const fd = sys.openat2(AT_FDCWD, Buffer.from(path).toString('latin1'), Open.PATH | Open.DIRECTORY, 0, 0);
  if (fd < 0) throw new MountError(`${what} ${path}: ${errnoText(fd)}`);
  return fd;
}

/** Kernel overlayfs says there what an upper must not be mounted without; after a volatile mount, that it may be damaged. */
function refuseIncompatible(work: number, workdir: string): void {
  const fd = sys.openat2(work, 'incompat', Open.RDONLY | Open.DIRECTORY | Open.NOFOLLOW, 0, 0);
  if (fd < 0) return;
  const listing = sys.readdir(fd);
  sys.close(fd);
  const [feature] = typeof listing === 'number' ? [] : listing.names;
  if (feature === undefined) return;
  sys.close(work);
  throw new MountError(
    `work directory ${workdir}: a mount by the kernel left the mark "${feature}": begin with an empty upper, ` +
      `or remove ${workdir}/work/incompat/${feature} if the system did not go down since`,
  );
}

/** `<workdir>/work`, made if missing and emptied: what a crash left there was never published. Makes `links` too. */
function openWork(workdir: string): number {
  const parent = openDirectory(workdir, 'work directory');
  sys.mkdirat(parent, 'work', 0o700);
  sys.mkdirat(parent, 'links', 0o700);
  const fd = sys.openat2(parent, 'work', Open.RDONLY | Open.DIRECTORY | Open.NOFOLLOW, 0, 0);
  sys.close(parent);
  if (fd < 0) throw new MountError(`work directory ${workdir}/work: ${errnoText(fd)}`);
  refuseIncompatible(fd, workdir);
  const error = emptyDirectory(fd);
  if (error) {
    sys.close(fd);
    throw new MountError(`work directory ${workdir}/work cannot be emptied: ${errnoText(error)}`);
  }
  return fd;
}

/** Adds the plan's layers to `native`, the first root being the one whose filesystem the mount shows. */
export function openLayers(native: NativeMount, plan: MountPlan): LayerStack {
  const scheme = plan.scheme;
  let upper: PlaceId | undefined;
  let work: PlaceId | undefined;
  let links: PlaceId | undefined;
  if (plan.upper !== undefined && plan.work !== undefined) {
    upper = native.addRoot(openDirectory(plan.upper, 'upper directory'), NodeFlag.writable);
    work = native.addRoot(openWork(plan.work), 0);
    links = native.addRoot(openDirectory(`${plan.work}/links`, 'work directory'), NodeFlag.writable);
  }
  const flags = upper === undefined ? NodeFlag.readOnly : 0;
  const lowers = plan.lowers.map((path) => native.addRoot(openDirectory(path, 'lower directory'), flags));
  return { upper, work, links, lowers, scheme, volatile: plan.volatile };
}
