// What a build needs from the engine: images, containers made from them, commits. The engine implements it with its own
// create, start, wait, archive and commit; tests implement it in memory. The builder itself touches no store and no mount.
//
// Image ids are `sha256:HEX`. Paths and names of files in containers are bytes, carried as latin1 strings.

/** The `config` object of an image's document, as it is stored: fields that the builder does not know stay as they are. */
export interface BuildConfig {
  readonly User?: string;
  readonly Env?: readonly string[] | null;
  readonly Entrypoint?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly WorkingDir?: string;
  readonly Volumes?: Readonly<Record<string, object>> | null;
  readonly ExposedPorts?: Readonly<Record<string, object>> | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly StopSignal?: string;
  readonly Healthcheck?: Healthcheck | null;
  readonly OnBuild?: readonly string[] | null;
  readonly Shell?: readonly string[] | null;
  readonly [field: string]: unknown;
}

/** Docker's HealthcheckConfig; times in nanoseconds. */
export interface Healthcheck {
  readonly Test?: readonly string[];
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
  readonly Retries?: number;
}

export interface BuildImage {
  readonly id: string;
  /** The `config` object of its document. */
  readonly config: BuildConfig;
  /** `created_by` of the newest entry of its history; '' without history. */
  readonly createdBy: string;
  /** RFC 3339; '' when the document does not say. */
  readonly created: string;
  readonly author: string;
  readonly os: string;
  readonly architecture: string;
  /** Of the architecture, as `v8`; '' for none. */
  readonly variant: string;
}

/** What a new image says of itself, beside its layers. */
export interface CommitRequest {
  /** The whole `config` object. */
  readonly config: BuildConfig;
  /** `created_by` of the new entry of its history. */
  readonly createdBy: string;
  readonly author: string;
}

export interface ResolveOptions {
  /** Asks the registry even when the image is here. */
  readonly pull: boolean;
  /** `linux/arm64/v8`; undefined is the host's. */
  readonly platform?: string;
  /** Docker's progress of a pull, as lines of the answer. */
  readonly progress: (message: object) => void;
  readonly signal: AbortSignal;
}

/** Settings of `POST /build` that concern the containers of RUN; undefined is the engine's default. */
export interface BuildResources {
  readonly networkMode?: string;
  readonly shmSize?: number;
  readonly memory?: number;
  readonly memorySwap?: number;
  readonly cpuShares?: number;
  readonly cpuPeriod?: number;
  readonly cpuQuota?: number;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  readonly cgroupParent?: string;
  readonly ulimits?: readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[];
  readonly extraHosts?: readonly string[];
  readonly securityOpt?: readonly string[];
}

export interface ContainerRequest {
  /** Image id; undefined is scratch, an empty root. */
  readonly image: string | undefined;
  /**
   * Exactly what runs and as whom: nothing of the image's own config is merged in. `Entrypoint` is null, `Cmd` the whole
   * argument vector. Volumes of the config are NOT mounted: their places are directories of the root, and what RUN writes there
   * is part of the image.
   */
  readonly config: BuildConfig;
  readonly platform?: string;
  readonly resources: BuildResources;
}

/** One object in a container's root; the last component is not followed when it is a symlink. */
export interface FileStat {
  readonly type: 'file' | 'directory' | 'symlink' | 'other';
  /** Target bytes of a symlink; '' otherwise. */
  readonly linkTarget: string;
}

/**
 * A container of one step. Made but not started, it is the root of an image that files can be read from and put into.
 * In every path symlinks of the leading directories are resolved inside the root (openat2 RESOLVE_IN_ROOT).
 */
export interface BuildContainer {
  /** Full hex id; its first 12 digits are shown. */
  readonly id: string;
  /**
   * Starts it, passes its output on and waits for its end: the exit code. When `signal` aborts it is killed and the promise
   * rejects with the signal's reason. Errors: what cannot be started (`exec: "x": executable file not found in $PATH`).
   */
  run(output: (chunk: Buffer, stream: 'stdout' | 'stderr') => void, signal: AbortSignal): Promise<number>;
  /** undefined when it is not there or a leading component is no directory. */
  stat(path: string): Promise<FileStat | undefined>;
  /** Names in a directory, without the dots; the directory itself may be reached through a symlink. */
  list(path: string): Promise<string[]>;
  /**
   * The object as a tar, as `GET /containers/ID/archive`: members begin with the base name; of a path that ends in `/.`,
   * they begin with `./` and the directory itself is the first.
   */
  read(path: string, signal: AbortSignal): AsyncIterable<Buffer>;
  /** Unpacks a plain tar into the existing directory `path`, as `PUT archive`: owners and modes are those of the archive. */
  write(path: string, tar: AsyncIterable<Buffer>, signal: AbortSignal): Promise<void>;
  /**
   * An image of the container's image and what was changed, without a layer when nothing was. The image's parent (see
   * `children`) is the container's image. Returns the id.
   */
  commit(request: CommitRequest): Promise<string>;
  /** Also of a running one; anonymous volumes go with it. Never rejects for one that is gone. */
  remove(): Promise<void>;
}

export interface BuildHost {
  /**
   * An image by name or id, pulled when it is not here. Errors in Docker's words: `pull access denied for X, repository does
   * not exist or may require 'docker login'`, `No such image: X`, `manifest for X not found: manifest unknown`.
   */
  resolve(reference: string, options: ResolveOptions): Promise<BuildImage>;
  /** An image by the id that this host gave. */
  image(id: string): Promise<BuildImage>;
  /** Images that were committed on `parent`; of undefined those that a build made from scratch. For the cache. */
  children(parent: string | undefined): Promise<BuildImage[]>;
  /** An image with its parent's layers and no more: ENV, CMD, LABEL. `platform` counts only without a parent. Returns the id. */
  commitConfig(parent: string | undefined, request: CommitRequest, platform?: string): Promise<string>;
  /** Makes a container and does not start it. Owns: the caller removes it. */
  createContainer(request: ContainerRequest): Promise<BuildContainer>;
  /** Names an image, canonical or familiar; a name that another image has moves. */
  tag(id: string, name: string): Promise<void>;
}
