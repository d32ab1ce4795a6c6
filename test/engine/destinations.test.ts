// Where a volume cannot be mounted, and where it can though few would: what is said and seen is what dockerd 20.10 with the same
// runc says and shows. Typed with `lamina` and with a real `docker`.

import { mkdirSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { EngineRig, clients } from '../support/engine-rig.js';

const rig = new EngineRig();

t.before(async () => {
  await rig.start();
  await rig.loadImages();
  for (const name of ['dir', 'other']) mkdirSync(rig.path(name));
  writeFileSync(rig.path('dir/f'), 'in the volume\n');
  writeFileSync(rig.path('file'), '192.0.2.1 mine\n');
});
t.teardown(() => rig.end());

const ROOT = "invalid specification: destination can't be '/'";
const RELATIVE = 'mount path must be absolute';
const PROC = 'cannot be mounted because it is not of type proc';
const IN_PROC = 'cannot be mounted because it is inside /proc';
const KIND = 'Are you trying to mount a directory onto a file (or vice-versa)?';

/** Flags (DIR and FILE are those of the host) and the error. */
const REFUSED: readonly (readonly [flags: string, words: string, code?: number])[] = [
  ...['/', '/.', '/..', '//'].map(
    (to) => [`-v DIR:${to}`, `invalid volume specification: 'DIR:${to}': invalid mount config for type "bind": ${ROOT}`] as const,
  ),
  ...['.', './', '..'].map(
    (to) =>
      [
        `-v DIR:${to}`,
        `invalid volume specification: 'DIR:${to}': invalid mount config for type "bind": invalid mount path: '${to}' ${RELATIVE}`,
      ] as const,
  ),
  ['-v named:/', `invalid volume specification: 'named:/': invalid mount config for type "volume": ${ROOT}`],
  ['-v named:.', `invalid mount config for type "volume": invalid mount path: '.' ${RELATIVE}`],
  ['-v /', `invalid volume specification: '/': invalid mount config for type "volume": ${ROOT}`],
  ['--mount type=bind,source=DIR,target=/', `Error response from daemon: invalid mount config for type "bind": ${ROOT}`],
  [
    '--mount type=bind,source=DIR,target=.',
    `Error response from daemon: invalid mount config for type "bind": invalid mount path: '.' ${RELATIVE}`,
  ],
  ['--tmpfs /', `Error response from daemon: ${ROOT}`],
  ['--tmpfs .', `Error response from daemon: invalid mount path: '.' ${RELATIVE}`],
  ['-v DIR:/proc', `error mounting "DIR" to rootfs at "/proc": `],
  ['-v DIR:/proc', PROC],
  ['-v /proc', PROC],
  ['-v named:/proc/', PROC],
  ['-v DIR:/proc/x', IN_PROC],
  ['-v DIR:/proc/self', IN_PROC],
  ['-v DIR:/proc/sys/kernel', IN_PROC],
  ['-v named:/proc/x', IN_PROC],
  ['-v FILE:/proc/version', IN_PROC],
  ['-v FILE:/proc/sys/kernel/hostname', IN_PROC],
  ['-v DIR:/proc/meminfo', KIND],
  ['-v DIR:/sys/x', 'read-only file system'],
  ['-v FILE:/sys/kernel/x', 'read-only file system'],
  ['-v DIR:/etc/hosts', KIND],
  ['-v DIR:/etc/passwd', KIND],
  ['-v /etc/hosts', 'cannot mount volume over existing file, file exists'],
  ['-v DIR:/dev/null', 'open /dev/null: is a directory', 126],
];

/** Flags, what is looked at, what it shows. */
const SHOWN: readonly (readonly [flags: string, command: string, shown: string])[] = [
  ...['/sys', '/sys/kernel', '/sys/fs/cgroup', '/dev/shm', '/dev/pts', '/dev/mqueue', '/dev/x', '/no/such/place'].map(
    (to) => [`-v DIR:${to}`, `ls -A ${to}`, 'f'] as const,
  ),
  ['-v DIR:/proc/../mnt', 'ls -A /mnt', 'f'],
  // The runtime makes its mountpoints there, on the host as well.
  ['-v OTHER:/etc', 'ls /etc', 'hostname\nhosts\nresolv.conf'],
  ['-v FILE:/etc/hosts', 'cat /etc/hosts', '192.0.2.1 mine'],
  ['-v FILE:/etc/resolv.conf', 'cat /etc/resolv.conf', '192.0.2.1 mine'],
  ['-v FILE:/etc/hostname', 'cat /etc/hostname', '192.0.2.1 mine'],
  ['-v FILE:/proc/uptime', 'cat /proc/uptime', '192.0.2.1 mine'],
  ['-v FILE:/dev/x', 'cat /dev/x', '192.0.2.1 mine'],
  ['-v /etc', "sh -c \"ls /etc | tr '\\n' ' '\"", 'hostname hosts mtab passwd resolv.conf'],
  ['-v /dev/shm', 'ls -A /dev/shm', ''],
  ['--tmpfs /dev/shm', 'sh -c "grep -c \' /dev/shm tmpfs \' /proc/mounts"', '1'],
  ['--tmpfs /sys', 'ls -A /sys', ''],
];

for (const client of clients) {
  const type = (flags: string, command: string): ReturnType<EngineRig['sh']> => {
    const named = flags.replace(/DIR|FILE|OTHER/g, (name) => rig.path(name.toLowerCase()));
    return rig.sh(`${client} run --rm --network none ${named} busybox ${command}`);
  };

  for (const [flags, words, code = 125] of REFUSED) {
    void t.test(`${flags} is refused: ${words.slice(0, 60)}, typed with ${client}`, async (t) => {
      const done = await type(flags, 'true');
      t.equal(done.code, code, done.stderr);
      const expected = words.replaceAll('DIR', rig.path('dir'));
      t.ok(done.stderr.includes(expected), `${done.stderr} has ${expected}`);
      t.equal(await rig.must(client, 'ps', '-aq'), '', 'no container is left');
    });
  }

  for (const [flags, command, shown] of SHOWN) {
    void t.test(`${flags} is seen, typed with ${client}`, async (t) => {
      const done = await type(flags, command);
      t.equal(done.code, 0, done.stderr);
      t.equal(done.stdout.trim(), shown);
    });
  }
}

void t.test('every container has what Docker puts there, and no image gets it', async (t) => {
  const look = 'readlink /etc/mtab; stat -c "%a %s" /.dockerenv; grep -c " / " /etc/mtab';
  t.equal(await rig.must('lamina', 'run', '--rm', 'busybox', 'sh', '-c', look), '/proc/mounts\n755 0\n1');
  await rig.must('lamina', 'run', '--name', 'marked', 'busybox', 'touch', '/made');
  t.equal(await rig.must('lamina', 'diff', 'marked'), 'A /made');
  await rig.must('lamina', 'commit', 'marked', 'made');
  const layers = 'lamina save made | tar xO --wildcards "*/layer.tar" "blobs/sha256/*" 2>/dev/null';
  const [made, marks] = (await rig.sh(`${layers} | grep -ac ustar; ${layers} | grep -ac dockerenv`)).stdout.split('\n');
  t.ok(Number(made) > 0, 'layers are looked at');
  t.equal(marks, '0');
  await rig.must('lamina', 'rm', 'marked');
});
