// Where volumes live: <root>/volumes/<name>/_data. A volume is its directory and its record: the directory is built first,
// the record decides, and the directory takes its place after it. Names that begin with a dot are our unfinished work.
// Called by cli/, container/ and engine/.

import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, constants, existsSync, mkdirSync, openSync, readdirSync, renameSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errno, errnoText } from '../abi/errno.js';
import { sys } from '../native/load.js';
import { removeTree } from '../process/remove-tree.js';
import { abandonedStaging, makeStaging } from '../process/staging.js';
import { settleVolume } from './content.js';
import { dropImport } from './transfer.js';
import { checkVolumeName } from './spec.js';
import { VolumeError, VolumeTaken } from './volume-error.js';

export interface VolumeRecord {
  readonly name: string;
  /** Its `_data`. */
  readonly path: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly anonymous: boolean;
  /** Of the local driver. */
  readonly options?: Readonly<Record<string, string>>;
}

/** What a volume that is made now gets. */
export interface NewVolume {
  readonly anonymous?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly options?: Readonly<Record<string, string>>;
  /** A directory on the same filesystem that becomes its `_data`; the volume must be a new one. */
  readonly content?: string;
}

/** The records of volumes, wherever they are kept. Each call is atomic. */
export interface VolumeRecords {
  get(name: string): Promise<VolumeRecord | undefined>;
  /** Rejects when the name is taken. */
  create(record: Omit<VolumeRecord, 'created'>): Promise<VolumeRecord>;
  remove(name: string): Promise<unknown>;
  list(): Promise<readonly VolumeRecord[]>;
}

/** Directories of volumes being made and being removed, under their names; and of those that only their files are left of. */
const NEW = '.new';
const REMOVED = '.removed';
const TRASH = '.trash';
const ANONYMOUS_LABEL = 'com.docker.volume.anonymous';
const LOCK_EX_NB = 2 | 4;
const LOCK_LIMIT_MS = 30_000;

function explain(root: string, error: unknown): unknown {
  const { code, errno: number, path, syscall } = error as NodeJS.ErrnoException;
  if (syscall === undefined || number === undefined) return error;
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  const next = full ? 'free some space and try again' : 'set LAMINA_ROOT to a directory that you may write';
  return new VolumeError(`${path ?? root}: cannot ${syscall}: ${errnoText(number)}: ${next}`, error);
}

/** Waits for the lock of an open directory. Not in the kernel: whoever has it may be another caller in this process. */
async function lock(fd: number, directory: string): Promise<void> {
  for (const start = Date.now(); sys.flock(fd, LOCK_EX_NB) !== 0; await delay(2)) {
    if (Date.now() - start > LOCK_LIMIT_MS)
      throw new VolumeError(`${directory}: another process keeps it locked: end that process (\`fuser ${directory}\`)`);
  }
}

/** What has lost its name and is to be removed; whoever put it there does that, and anybody when that one has died. */
class Trash {
  readonly #place: string;
  #own: string | undefined;
  readonly #taken: string[] = [];

  constructor(directory: string) {
    this.#place = join(directory, TRASH);
    mkdirSync(this.#place, { recursive: true, mode: 0o700 });
    for (const name of abandonedStaging(this.#place)) this.#taken.push(join(this.#place, name));
  }

  take(path: string): void {
    this.#own ??= makeStaging(this.#place);
    renameSync(path, join(this.#own, basename(path)));
  }

  /** Errors: VolumeError; what could not be removed stays until this process has ended. */
  async empty(): Promise<void> {
    for (const path of this.#own === undefined ? this.#taken : [...this.#taken, this.#own]) {
      await removeTree(path).catch((error: unknown) => {
        throw new VolumeError(`${path}: cannot remove it: ${(error as Error).message}: remove it yourself`, error);
      });
    }
  }
}

/** Makes the place for unfinished work, or ends what a killed process left in it. Under the lock. */
async function sweep(directory: string, records: VolumeRecords, trash: Trash): Promise<void> {
  const [fresh = '', removed = ''] = [NEW, REMOVED].map((name) => join(directory, name));
  for (const place of [fresh, removed]) mkdirSync(place, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(fresh)) {
    const isWhole = (await records.get(name)) !== undefined && !existsSync(join(directory, name));
    if (isWhole) renameSync(join(fresh, name), join(directory, name));
    else trash.take(join(fresh, name));
  }
  for (const name of readdirSync(removed)) {
    await records.remove(name);
    trash.take(join(removed, name));
  }
}

/**
 * Runs `use` while no other volume of this root is made or removed, by this process or another, after what killed ones have left
 * was settled. Returns when what had to be removed is.
 */
async function withVolumes<T>(
  root: string,
  records: VolumeRecords,
  use: (directory: string, again: () => Promise<void>) => Promise<T>,
): Promise<T> {
  const directory = join(root, 'volumes');
  try {
    mkdirSync(directory, { recursive: true, mode: 0o701 });
    const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    let trash: Trash | undefined;
    try {
      await lock(fd, directory);
      const filled = (trash = new Trash(directory));
      const again = (): Promise<void> => sweep(directory, records, filled);
      await again();
      return await use(directory, again);
    } finally {
      closeSync(fd);
      await trash?.empty();
    }
  } catch (error) {
    throw explain(directory, error);
  }
}

/** Makes an empty `_data` in a directory of ours. Returns its path. */
export function makeData(home: string): string {
  // A default ACL of the data root must not be inherited by what is copied into the volume.
  const fd = openSync(home, constants.O_RDONLY | constants.O_DIRECTORY);
  const cleared = sys.removexattr(fd, '', 'system.posix_acl_default');
  closeSync(fd);
  if (cleared < 0 && cleared !== -errno.ENODATA && cleared !== -errno.EOPNOTSUPP) {
    throw new VolumeError(`${home}: ${errnoText(cleared)}: check the data root`);
  }
  const data = join(home, '_data');
  mkdirSync(data);
  // mkdir obeys the umask.
  chmodSync(data, 0o755);
  return data;
}

/** Builds a volume's directory where unfinished work is. False when one is in its place, which is taken over as it is. */
function buildDirectory(directory: string, name: string, content: string | undefined): boolean {
  const home = join(directory, name);
  if (existsSync(join(home, '_data'))) return false;
  if (existsSync(home)) throw new VolumeError(`volume ${name}: ${home} is in the way and is no volume: move it elsewhere`);
  const fresh = join(directory, NEW, name);
  mkdirSync(fresh, { mode: 0o701 });
  chmodSync(fresh, 0o701);
  if (content === undefined) makeData(fresh);
  else renameSync(content, join(fresh, '_data'));
  return true;
}

function checkDirectory(record: VolumeRecord): void {
  if (existsSync(record.path) && statSync(record.path).isDirectory()) return;
  throw new VolumeError(
    `volume ${record.name}: its directory ${record.path} is missing: restore it, or give the volume up with \`lamina volume rm ${record.name}\``,
  );
}

/** A name for a volume that was given none. */
export function anonymousName(): string {
  return randomBytes(32).toString('hex');
}

/**
 * The volume of that name, made if it does not exist; a new anonymous one without a name. What an interrupted fill left is
 * settled. Errors: VolumeSpecError for a name that is none, VolumeError.
 */
export async function openVolume(
  root: string,
  records: VolumeRecords,
  given?: string,
  { anonymous = given === undefined, labels: own = {}, options, content }: NewVolume = {},
): Promise<VolumeRecord> {
  if (given !== undefined) checkVolumeName(given);
  const name = given ?? anonymousName();
  const volume = await withVolumes(root, records, async (directory) => {
    const known = await records.get(name);
    if (known && content === undefined) return known;
    if (known || (content !== undefined && existsSync(join(directory, name))))
      throw new VolumeTaken(`volume ${name}: it has been made meanwhile: try again`);
    const labels = anonymous ? { ...own, [ANONYMOUS_LABEL]: '' } : own;
    const home = join(directory, name);
    const built = buildDirectory(directory, name, content);
    const path = join(home, '_data');
    const made = await records.create({ name, path, labels, anonymous, ...(options === undefined ? {} : { options }) });
    // Killed here, the sweep does it.
    if (built) renameSync(join(directory, NEW, name), home);
    return made;
  });
  checkDirectory(volume);
  await settleVolume(volume.path);
  return volume;
}

/**
 * Removes a volume, first from the sight of others, then its files. `mustBeUnused` throws when somebody uses it: asked at
 * the last moment, when nobody can open it any more. An unknown one is no error. Errors: VolumeError.
 */
export async function removeVolume(
  root: string,
  records: VolumeRecords,
  name: string,
  mustBeUnused: () => void = () => undefined,
): Promise<void> {
  checkVolumeName(name);
  await withVolumes(root, records, async (directory, again) => {
    const home = join(directory, name);
    mustBeUnused();
    if (!existsSync(home)) {
      await records.remove(name);
      return;
    }
    const fd = openSync(home, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      if (sys.flock(fd, LOCK_EX_NB) !== 0)
        throw new VolumeError(`remove ${name}: volume is in use: it is being filled, try again when that is done`);
      // From here on the volume is gone, also if we are killed: the sweep does the rest.
      renameSync(home, join(directory, REMOVED, name));
      await again();
    } finally {
      closeSync(fd);
    }
  });
}

/** All volumes by name. */
export async function listVolumes(root: string, records: VolumeRecords): Promise<readonly VolumeRecord[]> {
  return withVolumes(root, records, async () => [...(await records.list())].sort((a, b) => (a.name < b.name ? -1 : 1)));
}

/** Ends all that a killed process has left in the volumes of this root. Errors: VolumeError. */
export async function settleVolumes(root: string, records: VolumeRecords): Promise<void> {
  if (!existsSync(join(root, 'volumes'))) return;
  for (const { path } of await listVolumes(root, records)) {
    if (!existsSync(path) || readdirSync(dirname(path)).length === 1) continue;
    await settleVolume(path);
    await dropImport(path);
  }
}
