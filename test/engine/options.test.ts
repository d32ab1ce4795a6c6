// What the flags of `run` ask for happens, or is refused by name: each row typed with `lamina` and with a real `docker`.

import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import t from 'tap';
import { EngineRig, clients } from '../support/engine-rig.js';
import { waitFor } from '../support/command.js';

interface Row {
  readonly flags: readonly string[];
  /** For `sh -c`. */
  readonly command: string;
  readonly prints: RegExp;
  /** The flag is none of lamina's own. */
  readonly docker?: true;
}

const HAPPEN: readonly Row[] = [
  { flags: ['--init'], command: 'cat /proc/1/comm; ls /sbin/docker-init', prints: /^init\n$/ },
  {
    flags: ['--device', '/dev/null:/dev/nil:rw'],
    command: 'ls -l /dev/nil; echo x > /dev/nil && echo w',
    prints: /1, +3 .*\nw\n/,
  },
  { flags: ['--privileged'], command: 'ls /dev/fuse; grep -c " /sys sysfs rw" /proc/mounts', prints: /^\/dev\/fuse\n1\n$/ },
  {
    flags: ['--domainname', 'example.org', '-h', 'box'],
    command: 'cat /proc/sys/kernel/domainname; hostname -f',
    prints: /^example.org\nbox.example.org\n$/,
  },
  { flags: ['-h', 'box.example.org'], command: 'tail -1 /etc/hosts', prints: /\tbox\.example\.org box\n$/ },
  {
    flags: ['--network', 'host', '--add-host', 'else:192.0.2.1', '-h', 'box'],
    command: 'hostname; head -n -1 /etc/hosts; tail -1 /etc/hosts',
    prints: new RegExp(`^box\n${readFileSync('/etc/hosts', 'utf8').replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}192.0.2.1\telse\n$`),
  },
  { flags: ['--network', 'host'], command: 'hostname', prints: new RegExp(`^${hostname()}\n$`) },
  { flags: ['-e', 'HOSTNAME'], command: 'env | grep -c HOSTNAME', prints: /^0\n$/ },
  { flags: ['--cgroupns', 'private'], command: 'readlink /proc/self/ns/cgroup', prints: /cgroup:/ },
  { flags: ['--ipc', 'none'], command: 'ls /dev/shm 2>&1', prints: /No such file/ },
  { flags: ['--ipc', 'host'], command: 'grep -c " /dev/shm " /proc/mounts', prints: /^1\n/ },
  { flags: ['--shm-size', '1m'], command: 'df -k /dev/shm | tail -1', prints: /shm +1024 / },
  { flags: ['--mac-address', '02:42:ac:11:77:01'], command: 'cat /sys/class/net/eth0/address', prints: /^02:42:ac:11:77:01\n$/ },
  {
    flags: ['--memory', '64m', '--memory-swappiness', '0'],
    command: 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory/memory.swappiness',
    prints: /^67108864\n0\n$/,
  },
  { flags: ['--cgroup-parent', 'elsewhere'], command: 'grep pids: /proc/self/cgroup', prints: /:\/elsewhere\/[0-9a-f]{64}\n$/ },
  { flags: ['--ulimit', 'nofile=123:456'], command: 'ulimit -n; ulimit -Hn', prints: /^123\n456\n$/ },
  {
    flags: ['-u', '7', '--sysctl', 'net.ipv4.ip_unprivileged_port_start=9'],
    command: 'cd /proc/sys/net/ipv4; cat ping_group_range ip_unprivileged_port_start',
    prints: /^0\t2147483647\n9\n$/,
  },
  { flags: ['-u', '7'], command: 'timeout 0.1 nc -l -p 80; echo $?', prints: /^143\n$/ },
  { flags: ['--sysctl', 'net.core.somaxconn=77'], command: 'cat /proc/sys/net/core/somaxconn', prints: /^77\n$/ },
  { flags: ['--oom-score-adj', '111'], command: 'cat /proc/self/oom_score_adj', prints: /^111\n$/ },
  {
    flags: ['--device-cgroup-rule', 'c 10:229 rwm', '--cap-add', 'mknod'],
    command: 'mknod /tmp/f c 10 229 && : < /tmp/f && echo opened',
    prints: /^opened\n$/,
  },
];

const REFUSED: readonly (readonly [flags: readonly string[], stderr: RegExp, code?: number])[] = [
  [['--ipc', 'bogus'], /invalid IPC mode: bogus/],
  ...['container', 'container:', 'container::'].map(
    (mode) => [['--network', mode], /Invalid network mode: invalid container format container:<name\|id>/] as const,
  ),
  [['--network', 'container:x', '-h', 'x'], /conflicting options: hostname and the network mode/],
  [['--network', 'container:x', '--dns', '192.0.2.1'], /conflicting options: dns and the network mode/],
  [['--network', 'container:x', '--add-host', 'x:192.0.2.1'], /options: custom host-to-IP mapping and the network mode/],
  [['--network', 'container:x', '-p', '80'], /options: port publishing and the container type network mode/],
  [['--network', 'container:x', '--expose', '80'], /options: port exposing and the container type network mode/],
  [['--uts', 'host', '-h', 'x'], /conflicting options: hostname and the UTS mode/],
  [['--network-alias', 'x'], /network-scoped alias.* supported .*user.defined networks/],
  [['--name', 'own', '--network', 'container:own'], /cannot join own network/],
  [['--user', '-1'], /uids and gids must be in range 0-2147483647/],
  [['--cpuset-mems', '77'], /Requested memory nodes are not available - requested 77, available: 0/],
  [['--ipc', 'container:nosuch'], /No such container: nosuch/],
  [['--network', 'container:nosuch'], /No such container: nosuch/],
  [['--link', 'nosuch:alias'], /could not get container for nosuch: No such container: nosuch/],
  [['--security-opt', 'apparmor=mine'], /--security-opt apparmor=mine is not supported/],
  [['--storage-opt', 'size=1g'], /--storage-opt size is not supported/],
  [['--log-opt', 'foo=bar'], /unknown log opt 'foo' for json-file log driver/],
  [['--log-driver', 'syslog'], /no log driver named 'syslog' is registered/],
  [['--log-opt', 'compress=true'], /log opt compress is not supported/],
  [['--stop-signal', 'BOGUS'], /invalid signal: BOGUS/],
  [['--memory', '64m', '--memory-swap', '32m'], /Minimum memoryswap limit should be larger than memory limit/],
  [['--cpus', '100'], /range of CPUs is from 0.01 to \d+.00/],
  [['--cpuset-cpus', '999'], /Requested CPUs are not available - requested 999/],
  [['--oom-score-adj', '2000'], /Invalid value 2000, range for oom score adj is/],
  [['--tmpfs', 'relative'], /mount path must be absolute/],
  [['--device', '/dev/nosuch'], /custom device "\/dev\/nosuch": no such file or directory/, 127],
  [['--ip', '1.2.3.4', '--network', 'bridge'], /user specified IP address is supported on user defined networks only/],
  [['--health-cmd', 'true', '--health-retries', '-1'], /--health-retries cannot be negative/],
];

/** Flags that `lamina` itself has not: it says so. */
const DOCKER_ONLY: readonly (readonly [flags: readonly string[], stderr: RegExp])[] = [
  [['--runtime', 'crun'], /unknown or invalid runtime name: crun/],
  [['--gpus', 'all'], /could not select device driver "" with capabilities: \[\[gpu\]\]/],
  [['--ip6', '::1'], /--ip6 is not supported/],
  [['--isolation', 'hyperv'], /invalid isolation 'hyperv' on linux/],
];

void t.test('the flags of run', { timeout: 240_000 }, async (t) => {
  const rig = new EngineRig();
  t.teardown(() => rig.end());
  await rig.start();
  await rig.loadImages();

  for (const client of clients) {
    for (const { flags, command, prints } of HAPPEN) {
      await t.test(`${client} run ${flags.join(' ')} does what it asks`, async (t) => {
        const done = await rig.run(client, 'run', '--rm', ...flags, 'busybox', 'sh', '-c', command);
        t.match(done.stdout, prints, done.stderr);
      });
    }
    for (const [flags, stderr, code = 125] of REFUSED) {
      await t.test(`${client} run ${flags.join(' ')} is refused by name`, async (t) => {
        t.match(await rig.run(client, 'run', '--rm', ...flags, 'busybox', 'true'), { code, stderr });
      });
    }
    await t.test(`${client}: a further process may do what its container may`, async (t) => {
      await rig.must(client, 'run', '-d', '--name', 'open', '--privileged', '--network', 'none', 'busybox', 'sleep', '1000');
      const held = await rig.must(client, 'exec', 'open', 'grep', '-h', 'CapEff', '/proc/1/status', '/proc/self/status');
      const [first, further] = held.split('\n');
      t.equal(further, first);
      await rig.must(client, 'rm', '-f', 'open');
    });
    await t.test(`${client}: a container's IPC, PIDs and network are shared with who may`, async (t) => {
      await rig.must(client, 'run', '-d', '--name', 'donor', '--ipc', 'shareable', 'busybox', 'sleep', '1000');
      await rig.must(client, 'exec', 'donor', 'touch', '/dev/shm/seen');
      const look = ['busybox', 'sh', '-c', 'ls /dev/shm; cat /proc/1/cmdline | tr "\\0" " "'];
      const seen = await rig.must(client, 'run', '--rm', '--ipc', 'container:donor', '--pid', 'container:donor', ...look);
      t.equal(seen, 'seen\nsleep 1000 ');
      const network = ['readlink', '/proc/self/ns/net'];
      t.equal(
        await rig.must(client, 'run', '--rm', '--network', 'container:donor', 'busybox', ...network),
        await rig.must(client, 'exec', 'donor', ...network),
      );
      await rig.must(client, 'run', '-d', '--name', 'private', 'busybox', 'sleep', '1000');
      t.match(await rig.run(client, 'run', '--rm', '--ipc', 'container:private', 'busybox', 'true'), {
        code: 125,
        stderr: /non-shareable IPC/,
      });
      await rig.must(client, 'rm', '-f', 'donor', 'private');
    });
    await t.test(`${client}: a health check is run, and its result shown`, async (t) => {
      const flags = ['--health-cmd', 'echo looked; test -e /tmp/ok', '--health-interval', '200ms', '--health-retries', '2'];
      await rig.must(client, 'run', '-d', '--name', 'patient', ...flags, 'busybox', 'sleep', '1000');
      const status = (): Promise<string> => rig.must(client, 'inspect', '-f', '{{.State.Health.Status}}', 'patient');
      t.match(await rig.must(client, 'ps', '--format', '{{.Status}}'), /\((health: starting|unhealthy)\)/);
      await waitFor('it to be ill', async () => (await status()) === 'unhealthy');
      const log = '{{range .State.Health.Log}}{{.ExitCode}} {{.Output}}{{end}}';
      t.match(await rig.must(client, 'inspect', '-f', log, 'patient'), /^(1 looked\n?)+$/);
      t.equal(await rig.must(client, 'ps', '-q', '--filter', 'health=healthy'), '');
      await rig.must(client, 'exec', 'patient', 'touch', '/tmp/ok');
      await waitFor('it to be well', async () => (await status()) === 'healthy');
      t.match(
        await rig.must(client, 'ps', '--format', '{{.Names}} {{.Status}}', '-f', 'health=healthy'),
        /^patient Up .* \(healthy\)$/,
      );
      await rig.must(client, 'rm', '-f', 'patient');
    });
    await t.test(`${client}: on a network of one's own, names are known to those before and after`, async (t) => {
      await rig.must(client, 'network', 'create', 'own');
      const run = (name: string, ...flags: string[]): Promise<string> =>
        rig.must(client, 'run', '-d', '--network', 'own', '--name', name, ...flags, 'busybox', 'sleep', '1000');
      const knows = async (name: string, other: string): Promise<boolean> =>
        (await rig.run(client, 'exec', name, 'ping', '-c1', '-W2', other)).code === 0;
      await run('first');
      await rig.must(client, 'exec', 'first', 'sh', '-c', 'echo 1.2.3.4 mine >> /etc/hosts');
      await run('second', '--network-alias', 'deux');
      for (const [name, other] of [
        ['first', 'second'],
        ['first', 'deux'],
        ['second', 'first'],
      ] as const) {
        t.ok(await knows(name, other), `${name} knows ${other}`);
      }
      await rig.must(client, 'rename', 'second', 'other');
      t.ok(await knows('first', 'other'), 'by its new name');
      await rig.must(client, 'network', 'disconnect', 'own', 'other');
      t.notOk(await knows('first', 'other'), 'not when it has left');
      await rig.must(client, 'network', 'connect', '--alias', 'back', 'own', 'other');
      t.ok(await knows('first', 'back'), 'by the alias that it came back with');
      await rig.must(client, 'rm', '-f', 'other');
      const left = await rig.must(client, 'exec', 'first', 'cat', '/etc/hosts');
      t.match(left, /^1\.2\.3\.4 mine$/m, 'what the container wrote stays');
      t.notMatch(left, /\b(other|second|back)\b/);
      await rig.must(client, 'rm', '-f', 'first');
      await rig.must(client, 'network', 'rm', 'own');
    });
    await t.test(`${client}: a linked container is known by its alias`, async (t) => {
      await rig.must(client, 'run', '-d', '--name', 'base', '--expose', '5432', 'busybox', 'sleep', '1000');
      const told = await rig.must(
        client,
        'run',
        '--rm',
        '--link',
        'base:db',
        'busybox',
        'sh',
        '-c',
        'ping -c1 -W2 db >/dev/null && env',
      );
      t.match(told, /^DB_PORT_5432_TCP=tcp:\/\/[0-9.]+:5432$/m);
      t.notMatch(told, /_(START|END)=/);
      await rig.must(client, 'rm', '-f', 'base');
      const ports = ['80', '81', '82/udp', '90/udp', '90'].flatMap((port) => ['--expose', port]);
      await rig.must(client, 'run', '-d', '--name', 'base', ...ports, 'busybox', 'sleep', '1000');
      const env = await rig.must(client, 'run', '--rm', '--name', 'asks', '--link', 'base:db', 'busybox', 'env');
      const of = (name: string): string | undefined =>
        new RegExp(`^DB_${name}=(.*)$`, 'm').exec(env)?.[1]?.replace(/[0-9.]+:/, '');
      const said = ['PORT', 'PORT_80_TCP_START', 'PORT_80_TCP_PORT_START', 'PORT_80_UDP_END', 'PORT_80_UDP_PORT_END'].map(of);
      t.same(said, ['tcp://80', 'tcp://80', '80', 'udp://82', '82']);
      t.same(['PORT_90_TCP_START', 'PORT_90_UDP_END', 'PORT_90_UDP_PORT', 'NAME'].map(of), [
        'tcp://90',
        'udp://90',
        '90',
        '/asks/db',
      ]);
      await rig.must(client, 'rm', '-f', 'base');
    });
  }
  for (const [flags, stderr] of DOCKER_ONLY) {
    await t.test(`docker run ${flags.join(' ')} is refused by name`, async (t) => {
      t.match(await rig.run('docker', 'run', '--rm', ...flags, 'busybox', 'true'), { code: 125, stderr });
    });
  }
  await t.test('an image for another platform is not run', async (t) => {
    t.match(await rig.run('docker', 'create', '--pull', 'never', '--platform', 'linux/s390x', 'busybox'), {
      code: 1,
      stderr: /its platform \(linux\/\w+\) does not match the specified platform \(linux\/s390x\)/,
    });
  });
});
