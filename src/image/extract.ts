// Unpacks an archive into a directory that others use too: a container's root (`cp`), a volume (`import`). Nothing is written
// outside the directory, whatever the archive or the directory's own symlinks say: every step is openat2(RESOLVE_BENEATH).

import { errno, errnoText } from '../abi/errno.js';
import { sys } from '../native/load.js';
import { openInside } from '../native/open-inside.js';
import { AT_REMOVEDIR, Mode, Open, Resolve, STAT_WORDS, Stat } from '../native/syscalls.js';
import type { TarHeader } from '../tar/tar-header.js';
import type { TarSink } from '../tar/tar-reader.js';
import { shown } from './image-error.js';
import { applyAttributes, Omissions } from './unpack-attributes.js';
import { SparseWriter } from './unpack-data.js';
import { EntryRefused, components, must } from './unpack-path.js';

export interface ExtractOptions {
  /** Refuses a directory in place of something else and the other way round. */
  readonly keepTypes?: boolean;
  /** An entry for the directory itself changes nothing of it. */
  readonly keepTop?: boolean;
  /** Owner of everything; that of the archive when absent. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/** An entry that cannot be extracted; the message names it. */
export class ExtractError extends Error {
  override readonly name = 'ExtractError';
}

const CREATE = Open.WRONLY | Open.CREAT | Open.EXCL | Open.NOFOLLOW;
const MAKE: Readonly<Record<string, number>> = { '3': Mode.CHR, '4': Mode.BLK, '6': Mode.FIFO };

export class Extractor implements TarSink {
  readonly #stat = new BigInt64Array(STAT_WORDS);
  readonly #omitted = new Omissions(process.geteuid?.() === 0);
  /** Directories of the archive, whose times are set last. */
  readonly #directories: { path: string; header: TarHeader }[] = [];
  #file: { writer: SparseWriter; header: TarHeader } | undefined;

  constructor(
    /** O_PATH or O_RDONLY; stays the caller's. */
    private readonly dir: number,
    private readonly options: ExtractOptions = {},
  ) {}

  entry(header: TarHeader): void {
    this.#guard(header.name, () => this.#place(header));
  }

  data(piece: Buffer): void {
    this.#file?.writer.write(piece);
  }

  end(): void {
    const file = this.#file;
    this.#file = undefined;
    if (!file) return;
    try {
      this.#guard(file.header.name, () => {
        file.writer.finish();
        applyAttributes(file.writer.fd, '', Mode.REG, file.header, this.#omitted);
      });
    } finally {
      sys.close(file.writer.fd);
    }
  }

  /** Gives directories their attributes. Everything is in place afterwards. */
  finish(): void {
    for (const { path, header } of this.#directories.reverse()) {
      this.#guard(path, () => {
        const fd = must(
          openInside(this.dir, path === '' ? '.' : path, Open.PATH | Open.DIRECTORY, 0, Resolve.BENEATH),
          'open it',
        );
        try {
          applyAttributes(fd, '', Mode.DIR, header, this.#omitted);
        } finally {
          sys.close(fd);
        }
      });
    }
  }

  /** To be called when the archive is not read to its end. */
  close(): void {
    if (this.#file) sys.close(this.#file.writer.fd);
    this.#file = undefined;
  }

  #guard(name: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      if (!(error instanceof EntryRefused)) throw error;
      throw new ExtractError(`${shown(name)}: ${error.message}`, { cause: error });
    }
  }

  #place(given: TarHeader): void {
    const header = this.options.owner ? { ...given, ...this.options.owner } : given;
    const parts = components(header.name.replace(/^(\.?\/)+/, ''));
    const base = parts.pop();
    if (base === undefined) {
      if (header.type === '5' && !this.options.keepTop) this.#directories.push({ path: '', header });
      return;
    }
    const parent = this.#directory(parts);
    try {
      this.#make(header, parent, base, [...parts, base].join('/'));
    } finally {
      sys.close(parent);
    }
  }

  /** Opens a directory below the top, making what is missing. */
  #directory(parts: readonly string[]): number {
    let fd = must(openInside(this.dir, '.', Open.PATH | Open.DIRECTORY, 0, Resolve.BENEATH), 'open the directory');
    for (let depth = 1; depth <= parts.length; depth++) {
      const path = parts.slice(0, depth).join('/');
      const name = parts[depth - 1] ?? '';
      // From the top each time: a symlink on the way may lead anywhere below it.
      let next = openInside(this.dir, path, Open.PATH | Open.DIRECTORY, 0, Resolve.BENEATH);
      if (next === -errno.ENOENT) {
        const made = sys.mkdirat(fd, name, 0o755);
        if (made !== -errno.EEXIST) this.#mustClosing(fd, made, `make the directory ${shown(path)}`);
        next = openInside(this.dir, path, Open.PATH | Open.DIRECTORY, 0, Resolve.BENEATH);
      }
      sys.close(fd);
      if (next === -errno.EXDEV) throw new EntryRefused(`${shown(path)} leads out of the directory`);
      fd = must(next, `open the directory ${shown(path)}`);
    }
    return fd;
  }

  #mustClosing(fd: number, result: number, what: string): void {
    if (result >= 0) return;
    sys.close(fd);
    throw new EntryRefused(`cannot ${what}: ${errnoText(result)}`);
  }

  #typeAt(parent: number, base: string): number {
    return sys.statx(parent, base, this.#stat) === 0 ? Number(this.#stat[Stat.mode]) & Mode.FMT : 0;
  }

  #make(header: TarHeader, parent: number, base: string, path: string): void {
    const there = this.#typeAt(parent, base);
    const isDirectory = header.type === '5';
    if (there === Mode.DIR && isDirectory) return void this.#directories.push({ path, header });
    if (there !== 0 && this.options.keepTypes && (there === Mode.DIR) !== isDirectory) {
      const [from, to] = isDirectory ? ['non-directory', 'directory'] : ['directory', 'non-directory'];
      throw new EntryRefused(`cannot overwrite ${from} ${JSON.stringify(shown(path))} with ${to}`);
    }
    if (there !== 0) must(sys.unlinkat(parent, base, there === Mode.DIR ? AT_REMOVEDIR : 0), 'replace what is there');
    switch (header.type) {
      case '0':
        this.#file = {
          writer: new SparseWriter(must(openInside(parent, base, CREATE, 0o600, Resolve.BENEATH), 'create it'), header),
          header,
        };
        return;
      case '5':
        must(sys.mkdirat(parent, base, 0o700), 'create it');
        this.#directories.push({ path, header });
        return;
      case '2':
        must(sys.symlinkat(header.linkname, parent, base), 'create it');
        return applyAttributes(parent, base, Mode.LNK, header, this.#omitted);
      case '1':
        return this.#link(header, parent, base);
      case '3':
      case '4':
      case '6':
        return this.#device(header, parent, base);
      default:
        throw new EntryRefused(`entries of type "${shown(header.type)}" are not supported`);
    }
  }

  #link(header: TarHeader, parent: number, base: string): void {
    const parts = components(header.linkname.replace(/^(\.?\/)+/, ''));
    const fd = must(
      openInside(this.dir, parts.join('/'), Open.PATH | Open.NOFOLLOW, 0, Resolve.BENEATH),
      `find ${shown(header.linkname)}`,
    );
    try {
      must(sys.linkat(fd, '', parent, base), 'link it');
    } finally {
      sys.close(fd);
    }
  }

  #device(header: TarHeader, parent: number, base: string): void {
    const type = MAKE[header.type] ?? Mode.FIFO;
    const rdev = type === Mode.FIFO ? 0n : (BigInt(header.major) << 32n) | BigInt(header.minor);
    must(sys.mknodat(parent, base, type | 0o600, rdev), 'create it');
    applyAttributes(parent, base, type, header, this.#omitted);
  }
}
