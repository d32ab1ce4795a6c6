// The flags of `run` and `create`.

import { type Arguments, type Flag, UsageError } from './arguments.js';

const many = (takes: string, help: string, short?: string): Flag => ({ takes, many: true, help, ...(short ? { short } : {}) });
const one = (takes: string, help: string, short?: string): Flag => ({ takes, help, ...(short ? { short } : {}) });
const on = (help: string, short?: string): Flag => ({ help, ...(short ? { short } : {}) });

export const CONTAINER_FLAGS: Readonly<Record<string, Flag>> = {
  'add-host': many('HOST:IP', 'Add a custom host-to-IP mapping'),
  annotation: many('KEY=VALUE', 'Add an annotation to the container (passed through to the OCI runtime)'),
  attach: many('STREAM', 'Attach to STDIN, STDOUT or STDERR', 'a'),
  bypass: one('bind|passthrough|relay', 'How volumes bypass the union (default bind)'),
  'cap-add': many('CAP', 'Add Linux capabilities'),
  'cap-drop': many('CAP', 'Drop Linux capabilities'),
  'cgroup-parent': one('PATH', 'Optional parent cgroup for the container'),
  cgroupns: one('host|private', 'Cgroup namespace to use (default host)'),
  cidfile: one('FILE', 'Write the container ID to the file'),
  cpus: one('DECIMAL', 'Number of CPUs'),
  'cpu-period': one('INT', 'Limit CPU CFS (Completely Fair Scheduler) period'),
  'cpu-quota': one('INT', 'Limit CPU CFS (Completely Fair Scheduler) quota'),
  'cpu-shares': one('INT', 'CPU shares (relative weight)', 'c'),
  'cpuset-cpus': one('LIST', 'CPUs in which to allow execution (0-3, 0,1)'),
  'cpuset-mems': one('LIST', 'MEMs in which to allow execution (0-3, 0,1)'),
  device: many('DEVICE', 'Add a host device to the container'),
  'device-cgroup-rule': many('RULE', 'Add a rule to the cgroup allowed devices list'),
  dns: many('IP', 'Set custom DNS servers'),
  'dns-option': many('OPTION', 'Set DNS options'),
  'dns-search': many('DOMAIN', 'Set custom DNS search domains'),
  domainname: one('NAME', 'Container NIS domain name'),
  entrypoint: one('COMMAND', 'Overwrite the default ENTRYPOINT of the image'),
  env: many('NAME=VALUE', 'Set environment variables', 'e'),
  'env-file': many('FILE', 'Read in a file of environment variables'),
  expose: many('PORT', 'Expose a port or a range of ports'),
  'group-add': many('GROUP', 'Add additional groups to join'),
  'health-cmd': one('COMMAND', 'Command to run to check health'),
  'health-interval': one('DURATION', 'Time between running the check (ms|s|m|h) (default 0s)'),
  'health-retries': one('INT', 'Consecutive failures needed to report unhealthy'),
  'health-start-interval': one('DURATION', 'Time between running the check during the start period (default 0s)'),
  'health-start-period': one('DURATION', 'Start period for the container to initialize before retries count (default 0s)'),
  'health-timeout': one('DURATION', 'Maximum time to allow one check to run (default 0s)'),
  hostname: one('NAME', 'Container host name', 'h'),
  init: on('Run an init inside the container that forwards signals and reaps processes'),
  interactive: on('Keep STDIN open even if not attached', 'i'),
  ipc: one('MODE', 'IPC mode to use: private, shareable, container:NAME, host or none'),
  ip: one('IP', 'IPv4 address'),
  label: many('KEY=VALUE', 'Set metadata on a container', 'l'),
  'label-file': many('FILE', 'Read in a line delimited file of labels'),
  link: many('CONTAINER[:ALIAS]', 'Add link to another container'),
  'log-driver': one('DRIVER', 'Logging driver: json-file, local or none'),
  'log-opt': many('KEY=VALUE', 'Log driver options'),
  'mac-address': one('MAC', 'Container MAC address'),
  memory: one('BYTES', 'Memory limit', 'm'),
  'memory-reservation': one('BYTES', 'Memory soft limit'),
  'memory-swap': one('BYTES', "Swap limit equal to memory plus swap: '-1' to enable unlimited swap"),
  'memory-swappiness': one('INT', 'Tune container memory swappiness (0 to 100)'),
  mount: many('MOUNT', 'Attach a filesystem mount to the container'),
  name: one('NAME', 'Assign a name to the container'),
  network: one('NETWORK', 'Connect a container to a network: bridge, host, none, container:NAME, or one of yours'),
  'network-alias': many('ALIAS', 'Add network-scoped alias for the container'),
  'no-healthcheck': on('Disable any container-specified HEALTHCHECK'),
  'oom-kill-disable': on('Disable OOM Killer'),
  'oom-score-adj': one('INT', "Tune host's OOM preferences (-1000 to 1000)"),
  pid: one('MODE', 'PID namespace to use: host or container:NAME'),
  'pids-limit': one('INT', 'Tune container pids limit (set -1 for unlimited)'),
  platform: one('OS/ARCH', 'Set platform if the engine is multi-platform capable'),
  privileged: on('Give extended privileges to this container'),
  publish: many('[IP:][HOSTPORT:]PORT', "Publish a container's port(s) to the host", 'p'),
  'publish-all': on('Publish all exposed ports to random ports', 'P'),
  pull: one('missing|always|never', 'Pull image before running (default missing)'),
  'read-only': on("Mount the container's root filesystem as read only"),
  restart: one('POLICY', 'Restart policy: no, on-failure[:N], always, unless-stopped'),
  rm: on('Automatically remove the container and its anonymous volumes when it exits'),
  'security-opt': many('OPTION', 'Security options'),
  'shm-size': one('BYTES', 'Size of /dev/shm'),
  'stop-signal': one('SIGNAL', 'Signal to stop the container'),
  'stop-timeout': one('SECONDS', 'Timeout to stop a container'),
  'storage-opt': many('KEY=VALUE', 'Storage driver options for the container'),
  sysctl: many('KEY=VALUE', 'Sysctl options'),
  tmpfs: many('DST[:OPTIONS]', 'Mount a tmpfs directory'),
  tty: on('Allocate a pseudo-TTY', 't'),
  ulimit: many('TYPE=SOFT[:HARD]', 'Ulimit options'),
  user: one('NAME|UID[:GROUP|GID]', 'Username or UID', 'u'),
  uts: one('MODE', 'UTS namespace to use: host'),
  volume: many('[SRC:]DST[:OPTIONS]', 'Bind mount a volume', 'v'),
  'volume-driver': one('DRIVER', 'Optional volume driver for the container'),
  'volumes-from': many('CONTAINER[:ro]', 'Mount volumes from the specified container(s)'),
  workdir: one('DIR', 'Working directory inside the container', 'w'),
};

export interface Streams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/** Which streams `run` attaches: those of `-a`, else all that there are. */
export function streamsOf(args: Arguments, command: string): Streams {
  const asked = args.all('attach').map((name) => name.toLowerCase());
  const wrong = asked.find((name) => !['stdin', 'stdout', 'stderr'].includes(name));
  if (wrong !== undefined) {
    throw new UsageError(
      `invalid argument ${JSON.stringify(wrong)} for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR`,
      command,
    );
  }
  if (asked.length === 0) return { stdin: args.has('interactive'), stdout: true, stderr: true };
  return { stdin: asked.includes('stdin'), stdout: asked.includes('stdout'), stderr: asked.includes('stderr') };
}
