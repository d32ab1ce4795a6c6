// What a container is, as its record keeps it. The shapes and names of `ContainerConfig`, `HostConfig` and `MountPoint`
// are the Docker Engine API's (api/swagger.yaml), so that what a client sent is what it reads back.

/** The part of a container that `commit` puts into an image. */
export interface ContainerConfig {
  readonly Hostname?: string;
  readonly Domainname?: string;
  readonly User?: string;
  readonly AttachStdin?: boolean;
  readonly AttachStdout?: boolean;
  readonly AttachStderr?: boolean;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Tty?: boolean;
  readonly OpenStdin?: boolean;
  readonly StdinOnce?: boolean;
  readonly Env?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Image?: string;
  readonly Volumes?: Readonly<Record<string, object>> | null;
  readonly WorkingDir?: string;
  readonly Entrypoint?: readonly string[] | null;
  readonly NetworkDisabled?: boolean;
  readonly OnBuild?: readonly string[] | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly StopSignal?: string;
  /** Seconds. */
  readonly StopTimeout?: number;
  readonly Shell?: readonly string[] | null;
  readonly Healthcheck?: HealthConfig | null;
  readonly MacAddress?: string;
}

/** Times in nanoseconds; 0 for the default. */
export interface HealthConfig {
  /** [], ['NONE'], ['CMD', args...], ['CMD-SHELL', command]. */
  readonly Test?: readonly string[] | null;
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
  readonly Retries?: number;
}

interface DeviceRate {
  readonly Path: string;
  readonly Rate: number;
}

export interface PortBinding {
  readonly HostIp?: string;
  readonly HostPort?: string;
}

/** One of `HostConfig.Mounts`, what `--mount` sends. */
export interface MountRequest {
  readonly Type?: string;
  readonly Source?: string;
  readonly Target?: string;
  readonly ReadOnly?: boolean;
  readonly Consistency?: string;
  readonly BindOptions?: {
    readonly Propagation?: string;
    readonly NonRecursive?: boolean;
    readonly CreateMountpoint?: boolean;
    readonly ReadOnlyNonRecursive?: boolean;
    readonly ReadOnlyForceRecursive?: boolean;
  };
  readonly VolumeOptions?: {
    readonly NoCopy?: boolean;
    readonly Labels?: Readonly<Record<string, string>>;
    readonly Subpath?: string;
    readonly DriverConfig?: { readonly Name?: string; readonly Options?: Readonly<Record<string, string>> };
  };
  readonly TmpfsOptions?: { readonly SizeBytes?: number; readonly Mode?: number };
}

/** The part of a container that belongs to this host. */
export interface HostConfig {
  readonly Binds?: readonly string[] | null;
  readonly Mounts?: readonly MountRequest[] | null;
  readonly VolumesFrom?: readonly string[] | null;
  readonly VolumeDriver?: string;
  readonly Tmpfs?: Readonly<Record<string, string>> | null;
  readonly NetworkMode?: string;
  readonly PortBindings?: Readonly<Record<string, readonly PortBinding[] | null>> | null;
  readonly PublishAllPorts?: boolean;
  readonly RestartPolicy?: { readonly Name?: string; readonly MaximumRetryCount?: number };
  readonly AutoRemove?: boolean;
  readonly ReadonlyRootfs?: boolean;
  readonly Privileged?: boolean;
  readonly CapAdd?: readonly string[] | null;
  readonly CapDrop?: readonly string[] | null;
  readonly Dns?: readonly string[] | null;
  readonly DnsOptions?: readonly string[] | null;
  readonly DnsSearch?: readonly string[] | null;
  readonly ExtraHosts?: readonly string[] | null;
  readonly GroupAdd?: readonly string[] | null;
  readonly IpcMode?: string;
  readonly PidMode?: string;
  readonly UTSMode?: string;
  readonly SecurityOpt?: readonly string[] | null;
  readonly StorageOpt?: Readonly<Record<string, string>> | null;
  readonly ShmSize?: number;
  readonly Sysctls?: Readonly<Record<string, string>> | null;
  readonly Runtime?: string;
  readonly LogConfig?: { readonly Type?: string; readonly Config?: Readonly<Record<string, string>> | null };
  readonly Memory?: number;
  readonly MemoryReservation?: number;
  readonly MemorySwap?: number;
  readonly NanoCpus?: number;
  readonly CpuShares?: number;
  readonly CpuPeriod?: number;
  readonly CpuQuota?: number;
  readonly CpusetCpus?: string;
  readonly CpusetMems?: string;
  readonly PidsLimit?: number | null;
  readonly OomKillDisable?: boolean | null;
  readonly OomScoreAdj?: number;
  readonly Ulimits?: readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[] | null;
  readonly Devices?:
    readonly { readonly PathOnHost: string; readonly PathInContainer: string; readonly CgroupPermissions: string }[] | null;
  readonly Init?: boolean | null;
  readonly MaskedPaths?: readonly string[] | null;
  readonly ReadonlyPaths?: readonly string[] | null;
  readonly ContainerIDFile?: string;
  readonly Annotations?: Readonly<Record<string, string>> | null;
  readonly BlkioWeight?: number;
  readonly BlkioWeightDevice?: readonly { readonly Path: string; readonly Weight: number }[] | null;
  readonly BlkioDeviceReadBps?: readonly DeviceRate[] | null;
  readonly BlkioDeviceReadIOps?: readonly DeviceRate[] | null;
  readonly BlkioDeviceWriteBps?: readonly DeviceRate[] | null;
  readonly BlkioDeviceWriteIOps?: readonly DeviceRate[] | null;
  readonly Cgroup?: string;
  readonly CgroupParent?: string;
  readonly CgroupnsMode?: string;
  /** Rows and columns of the client's terminal. */
  readonly ConsoleSize?: readonly number[] | null;
  readonly CpuRealtimePeriod?: number;
  readonly CpuRealtimeRuntime?: number;
  readonly DeviceCgroupRules?: readonly string[] | null;
  readonly DeviceRequests?:
    readonly { readonly Driver?: string; readonly Capabilities?: readonly (readonly string[])[] }[] | null;
  readonly Isolation?: string;
  readonly KernelMemory?: number;
  readonly KernelMemoryTCP?: number;
  readonly Links?: readonly string[] | null;
  readonly MemorySwappiness?: number | null;
  readonly UsernsMode?: string;
}

/** A volume, host path or `--mount type=tmpfs` of a container; inherited by `--volumes-from`. */
export interface MountPoint {
  readonly Type: 'bind' | 'volume' | 'tmpfs';
  /** Of a volume. */
  readonly Name?: string;
  /** On the host; '' for a tmpfs. */
  readonly Source: string;
  readonly Destination: string;
  readonly Driver?: string;
  readonly Mode: string;
  readonly RW: boolean;
  readonly Propagation: string;
  /** The user gave it a name or a path: `rm -v` keeps it. */
  readonly named: boolean;
  /** A missing host path is made at start. */
  readonly create?: boolean;
  readonly nonRecursive?: boolean;
  /** Only the mount itself is ro, not what is mounted below it. */
  readonly writableBelow?: boolean;
  /** Path inside the volume that is mounted instead of all of it. */
  readonly subpath?: string;
  /** Of a tmpfs. */
  readonly tmpfs?: { readonly SizeBytes?: number; readonly Mode?: number };
}

export interface ContainerState {
  readonly status: 'created' | 'running' | 'paused' | 'exited';
  readonly pid: number;
  readonly exitCode: number;
  readonly error: string;
  readonly oomKilled: boolean;
  /** Milliseconds since the epoch; 0 for never. */
  readonly startedAt: number;
  readonly finishedAt: number;
}

/** An address that a running container has; see network/. */
export interface EndpointRecord {
  readonly network: string;
  readonly networkId: string;
  readonly ip: string;
  readonly prefix: number;
  readonly gateway: string;
  readonly mac: string;
  readonly aliases: readonly string[];
}

/** A network to join. */
export interface NetworkJoin {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly ip?: string;
  readonly mac?: string;
  /** `CONTAINER:ALIAS`: names that this container alone has for others. */
  readonly links?: readonly string[];
}

export interface ContainerRecord {
  /** 64 lower-case hex digits. */
  readonly id: string;
  /** Without the slash that the API puts before it. */
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** Hex id of the image. */
  readonly image: string;
  /** Layer directories, topmost first. */
  readonly layers: readonly string[];
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  /** In the order of destinations given; sorted where they are mounted. */
  readonly mounts: readonly MountPoint[];
  /** Names of networks to join at start, with the container's names on them. */
  readonly networks: readonly NetworkJoin[];
  readonly state: ContainerState;
  /** While it runs. */
  readonly endpoints: readonly EndpointRecord[];
  /** Host ports while it runs, by `80/tcp`. */
  readonly ports: Readonly<Record<string, readonly PortBinding[]>>;
  /** Path and arguments that were run last. */
  readonly command: readonly string[];
  readonly restartCount: number;
  /** The user has stopped it: no restart policy starts it again. */
  readonly stopped: boolean;
  /** Made for a step of a build, which the end of the daemon ends: the next start removes it. */
  readonly transient?: boolean;
}

/** Work on a container that is under way; redone or undone when the daemon starts after a crash. */
export interface JournalRecord {
  /** Of the container. */
  readonly id: string;
  /** `create` is undone, `remove` is done to the end. */
  readonly op: 'create' | 'remove';
  /** Anonymous volumes that were made, or that go with it. */
  readonly volumes: readonly string[];
}
