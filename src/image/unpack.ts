// Unpacks one layer's tar into a directory in kernel overlayfs format: `.wh.x` becomes a character device 0:0 and
// `.wh..wh..opq` an opaque xattr. The tree depends on the tar alone unless `dependent` says otherwise. The directory must
// be this process's own: it is published by rename afterwards. Called by layer-unpack.ts, which owns its descriptor.

import { errno } from '../abi/errno.js';
import { OPAQUE_MARKER, WHITEOUT_PREFIX } from '../layer/format.js';
import { sys } from '../native/load.js';
import { Mode, Open } from '../native/syscalls.js';
import { ImageError, NO_SPACE, NOT_TRUSTED, shown } from './image-error.js';
import { copyAttributes, LowerLayers } from './lower-layers.js';
import { OverlayMarks } from './overlay-marks.js';
import type { TarHeader } from '../tar/tar-header.js';
import type { TarSink } from '../tar/tar-reader.js';
import { SparseWriter } from './unpack-data.js';
import { applyAttributes, Omissions } from './unpack-attributes.js';
import { components, EntryRefused, INSIDE, joined, LayerPaths, must } from './unpack-path.js';
import type { Dir } from './unpack-path.js';

const META = '.wh..wh.';
const CREATE = Open.WRONLY | Open.CREAT | Open.EXCL | Open.NOFOLLOW;
const DEVICES: Readonly<Record<string, number>> = { '3': Mode.CHR, '4': Mode.BLK, '6': Mode.FIFO };
const MAX_MAJOR = 1 << 12;
const MAX_MINOR = 1 << 20;

export interface UnpackTarget {
  /** Descriptor of the empty directory to fill. */
  readonly dir: number;
  /** Descriptor of an empty directory on the same filesystem, for what later entries replace. */
  readonly trash: number;
  /** Whether this process may chown and mknod: root of the initial user namespace. */
  readonly privileged: boolean;
  /** Directories of the layers below, topmost first. */
  readonly lower: readonly string[];
  /** Names the layer in errors. */
  readonly label: string;
}

export class Unpacker implements TarSink {
  readonly omitted: Omissions;
  /** Bytes of regular files, each once. */
  size = 0;
  private readonly paths: LayerPaths;
  private readonly lower: LowerLayers;
  private readonly marks: OverlayMarks;
  /** Attributes of directories, set last: children change times, and modes may forbid to create them. */
  private readonly directories = new Map<string, TarHeader | undefined>([['', undefined]]);
  private file: { writer: SparseWriter; header: TarHeader } | undefined;
  private replaced = 0;
  private current = '';

  constructor(private readonly target: UnpackTarget) {
    this.omitted = new Omissions(target.privileged);
    this.lower = new LowerLayers(target.lower);
    this.paths = new LayerPaths(target.dir, {
      implied: (dir, hidesLower) => {
        this.directories.set(dir.path, undefined);
        if (hidesLower) this.marks.renew(dir.fd, '', dir.path);
      },
      uncover: (parent, base, path) => this.marks.uncover(parent, base, path),
      lowerLink: (path) => this.marks.lowerLink(path),
    });
    this.marks = new OverlayMarks(this.lower, target.privileged, (dir, base) => this.paths.modeOf(dir, base));
  }

  /** Whether the tree depends on the layers below too: the tar leaves out directories that they have. */
  get dependent(): boolean {
    return this.lower.consulted;
  }

  entry(header: TarHeader): void {
    this.current = header.name;
    this.paths.release();
    this.guard(() => this.place(header));
  }

  data(piece: Buffer): void {
    const { file } = this;
    if (file) this.guard(() => file.writer.write(piece));
  }

  end(): void {
    const { file } = this;
    if (!file) return;
    this.guard(() => {
      this.size += file.writer.finish();
      applyAttributes(file.writer.fd, '', Mode.REG, file.header, this.omitted);
    });
    sys.close(file.writer.fd);
    this.file = undefined;
  }

  /** Sets the attributes of directories. The tree is complete afterwards. */
  finish(): void {
    // Children before parents: a parent's mode may forbid the way to them.
    const order = [...this.directories].sort(([a], [b]) => (a < b ? 1 : -1));
    this.paths.forget();
    for (const [path, header] of order) {
      this.current = path;
      this.guard(() => this.finishDirectory(path, header));
    }
  }

  /** Closes descriptors; to be called whatever happened. */
  close(): void {
    if (this.file) sys.close(this.file.writer.fd);
    this.file = undefined;
    this.paths.forget();
    this.paths.release();
    this.lower.close();
  }

  private guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      if (!(error instanceof EntryRefused)) throw error;
      const outOfSpace = error.message.includes('no space left') || error.message.includes('quota');
      throw new ImageError(
        `${this.target.label}: entry ${shown(this.current)}`,
        error.message,
        outOfSpace ? NO_SPACE : NOT_TRUSTED,
        error,
      );
    }
  }

  private place(header: TarHeader): void {
    const parts = components(header.name);
    if (parts.some((part) => part.startsWith(META) && part !== OPAQUE_MARKER)) return; // aufs's own files
    const base = parts.pop();
    if (base === undefined) return this.placeRoot(header);
    if (parts.some((part) => part.startsWith(WHITEOUT_PREFIX))) throw new EntryRefused('a whiteout has entries below it');
    const parent = this.paths.directory(parts, true);
    if (!parent) throw new EntryRefused('its directory cannot be made');
    if (base === OPAQUE_MARKER) return this.marks.setOpaque(parent.fd, '', parent.path);
    if (base.startsWith(WHITEOUT_PREFIX)) return this.marks.placeWhiteout(parent, base.slice(WHITEOUT_PREFIX.length));
    const path = joined(parent.path, base);
    if (header.type === '3' && header.major === 0 && header.minor === 0) return this.marks.placeWhiteout(parent, base);
    const hidesLower = this.marks.uncover(parent, base, path);
    this.make(header, parent, base, path, hidesLower);
  }

  private placeRoot(header: TarHeader): void {
    if (header.type !== '5') throw new EntryRefused("the layer's root is not a directory");
    this.directories.set('', header);
  }

  private make(header: TarHeader, parent: Dir, base: string, path: string, hidesLower: boolean): void {
    switch (header.type) {
      case '0':
        return this.makeFile(header, parent, base, path);
      case '5':
        return this.makeDirectory(header, parent, base, path, hidesLower);
      case '2':
        return this.makeSymlink(header, parent, base, path);
      case '1':
        return this.makeLink(header, parent, base, path);
      case '3':
      case '4':
      case '6':
        return this.makeDevice(header, parent, base, path);
      default:
        throw new EntryRefused(`entries of type "${shown(header.type)}" are not supported`);
    }
  }

  private makeFile(header: TarHeader, parent: Dir, base: string, path: string): void {
    const open = (): number => sys.openat2(parent.fd, base, CREATE, 0o600, INSIDE);
    const fd = must(this.orReplace(open, parent, base, path), 'create it');
    this.file = { writer: new SparseWriter(fd, header), header };
  }

  private makeDirectory(header: TarHeader, parent: Dir, base: string, path: string, hidesLower: boolean): void {
    const made = sys.mkdirat(parent.fd, base, 0o700);
    let renewed = hidesLower;
    if (made === -errno.EEXIST && (this.paths.modeOf(parent.fd, base) & Mode.FMT) !== Mode.DIR) {
      this.discard(parent, base, path);
      must(sys.mkdirat(parent.fd, base, 0o700), 'create it');
      renewed = true;
    } else if (made !== -errno.EEXIST) {
      must(made, 'create it');
    }
    this.directories.set(path, header);
    if (renewed) this.marks.renew(parent.fd, base, path);
  }

  private makeSymlink(header: TarHeader, parent: Dir, base: string, path: string): void {
    const symlink = (): number => sys.symlinkat(header.linkname, parent.fd, base);
    must(this.orReplace(symlink, parent, base, path), 'create it');
    applyAttributes(parent.fd, base, Mode.LNK, header, this.omitted);
  }

  private makeLink(header: TarHeader, parent: Dir, base: string, path: string): void {
    // A link's target may be written from the root of the layer.
    const parts = components(header.linkname.replace(/^\/+/, ''));
    const name = parts.pop();
    const where = name === undefined ? undefined : this.paths.directory(parts, false);
    const from = name === undefined || !where ? '' : joined(where.path, name);
    const type = where && name !== undefined && !this.marks.isWhiteout(from) ? this.paths.modeOf(where.fd, name) & Mode.FMT : 0;
    const target = shown(header.linkname);
    if (!where || name === undefined || type === 0)
      throw new EntryRefused(`it is a hard link to ${target}, which is not in the same layer`);
    if (type === Mode.DIR) throw new EntryRefused(`it is a hard link to the directory ${target}`);
    if (from === path) return;
    const link = (): number => sys.linkat(where.fd, name, parent.fd, base);
    must(this.orReplace(link, parent, base, path), 'create it');
  }

  private makeDevice(header: TarHeader, parent: Dir, base: string, path: string): void {
    const type = DEVICES[header.type] ?? Mode.FIFO;
    const { major, minor } = header;
    if (major < 0 || major >= MAX_MAJOR || minor < 0 || minor >= MAX_MINOR)
      throw new EntryRefused(`there is no device ${major}:${minor}`);
    const rdev = type === Mode.FIFO ? 0n : (BigInt(major) << 32n) | BigInt(minor);
    const result = this.orReplace(() => sys.mknodat(parent.fd, base, type | 0o600, rdev), parent, base, path);
    if (result === -errno.EPERM && !this.target.privileged) return this.omitted.add('devices');
    must(result, 'create it');
    applyAttributes(parent.fd, base, type, header, this.omitted);
  }

  /** Runs `create`; when something is there already, that is removed and `create` runs again. */
  private orReplace(create: () => number, parent: Dir, base: string, path: string): number {
    const result = create();
    if (result !== -errno.EEXIST) return result;
    this.discard(parent, base, path);
    return create();
  }

  private discard(parent: Dir, base: string, path: string): void {
    must(sys.renameat2(parent.fd, base, this.target.trash, String(this.replaced++), 0), 'replace what was there');
    this.paths.forget();
    this.marks.forget(path);
    for (const key of this.directories.keys()) if (key === path || key.startsWith(`${path}/`)) this.directories.delete(key);
  }

  private finishDirectory(path: string, header: TarHeader | undefined): void {
    const fd = must(sys.openat2(this.target.dir, path === '' ? '.' : path, Open.PATH | Open.DIRECTORY, 0, INSIDE), 'open it');
    try {
      if (header) return applyAttributes(fd, '', Mode.DIR, header, this.omitted);
      // Not the layer's root: most tars have no entry for it, and nearly no layer would depend on its tar alone.
      const found = path === '' ? undefined : this.marks.below(path);
      if (found && (found.mode & Mode.FMT) === Mode.DIR) {
        return copyAttributes(fd, found, (result, kind, what) => this.omitted.tolerate(result, kind, what));
      }
      must(sys.fchmodat(fd, '', 0o755), 'set its mode');
      must(sys.utimensat(fd, '', 0n, 0n), 'set its time');
    } finally {
      sys.close(fd);
    }
  }
}
