// Other engines over lamina: podman with a mount as its root and with mount.lamina as its storage's mount program, containerd
// with a mount as its root, and mount.fuse3 as containerd's mounts of type fuse3.lamina call it.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makeBusyboxArchive, makeBusyboxRoot } from '../../src/demo/busybox.js';
import { type Done, command, mountTable, mustCommand, processesWith, waitFor } from '../support/command.js';
import { checkout, scratchDir } from '../support/paths.js';

const dir = scratchDir();
const bin = join(checkout, 'bin');
const env = {
  LAMINA_ROOT: join(dir, 'data'),
  LAMINA_RUN: join(dir, 'run'),
  LAMINA_TEST_ROOT: dir,
  PATH: `${bin}:${process.env['PATH'] ?? ''}`,
};
const [base, target] = [join(dir, 'parts'), join(dir, 'target')];
const layers = (n: number): string[] => ['upper', 'work'].map((name) => join(dir, `${name}${n}`));
const run = (...words: string[]): Promise<Done> => command(words, { env, cwd: dir, limitMs: 60_000 });
const must = (...words: string[]): Promise<string> => mustCommand(words, { env, cwd: dir, limitMs: 60_000 });

const PODMAN = ['podman', '--runtime', 'runc', '--cgroup-manager=cgroupfs', '--events-backend=file'];
const store = (n: number): string[] => ['--root', join(dir, `store${n}`), '--runroot', join(dir, `runroot${n}`)];
const LIMITS = ['--network', 'none', '--security-opt', 'seccomp=unconfined', '--ulimit', 'nofile=1024:1024'];
const BOX = [...LIMITS, '--ulimit', 'nproc=4096:4096'];

async function mounted(n: number, use: (upper: string) => Promise<void>): Promise<void> {
  const [upper = '', work = ''] = layers(n);
  for (const path of [upper, work, target]) mkdirSync(path, { recursive: true });
  await must('lamina', 'mount', '--lower', join(base, 'root'), '--upper', upper, '--work', work, target);
  try {
    await use(upper);
  } finally {
    await must('lamina', 'umount', target);
  }
}

t.before(() => {
  mkdirSync(base);
  makeBusyboxRoot(base);
});
t.teardown(async () => {
  for (const { point } of mountTable().reverse()) if (point.startsWith(dir)) await command(['umount', '-l', point]);
  await waitFor('the servers to end', () => processesWith(`LAMINA_TEST_ROOT=${dir}`).length === 0);
  rmSync(dir, { recursive: true, force: true });
});

void t.test('podman run --rootfs takes a mounted root', async (t) => {
  await mounted(1, async (upper) => {
    const done = await run(...PODMAN, ...store(1), 'run', '--rm', ...BOX, '--rootfs', target, 'sh', '-c', 'echo in > /f; cat /f');
    t.match(done, { code: 0, stdout: 'in\n' }, done.stderr);
    t.equal(readFileSync(join(upper, 'f'), 'utf8'), 'in\n');
  });
});

void t.test("mount.lamina mounts podman's containers", { timeout: 120_000 }, async (t) => {
  const archive = join(dir, 'busybox.tar');
  makeBusyboxArchive(archive);
  const program = ['--storage-driver', 'overlay', '--storage-opt', `overlay.mount_program=${join(bin, 'mount.lamina')}`];
  const podman = (...words: string[]): Promise<Done> => run(...PODMAN, ...store(2), ...program, ...words);
  t.match(await run('mount.lamina', '--version'), { code: 0, stdout: /^mount.lamina: version \d/ }, 'what podman asks first');
  t.match(await podman('load', '-q', '-i', archive), { code: 0 });
  const script = 'grep -c "^lamina / fuse.lamina" /proc/mounts; mkdir /etc/new && rm -r /srv && echo done';
  const made = await podman('run', '--name', 'made', ...BOX, 'lamina-demo', 'sh', '-c', script);
  t.match(made, { code: 0, stdout: '1\ndone\n' }, made.stderr);
  t.same((await podman('diff', 'made')).stdout.split('\n').filter(Boolean).sort(), ['A /etc/new', 'C /etc', 'D /srv']);
  t.match(await podman('commit', '-q', 'made', 'second'), { code: 0 });
  const second = await podman('run', '--rm', ...BOX, 'second', 'sh', '-c', 'ls -d /etc/new; ls -d /srv');
  t.match(second, { code: 1, stdout: '/etc/new\n', stderr: /\/srv: No such file/ });
  t.match(await podman('rm', '-f', 'made'), { code: 0 });
});

void t.test('containerd runs a mounted root, and mounts by mount.fuse3', { timeout: 120_000 }, async (t) => {
  const socket = join(dir, 'containerd.sock');
  const config = [
    'version = 2',
    `root = "${join(dir, 'cd')}"`,
    `state = "${join(dir, 'cds')}"`,
    'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
    '[grpc]',
    `address = "${socket}"`,
  ];
  writeFileSync(join(dir, 'containerd.toml'), config.join('\n'));
  const daemon = spawn('containerd', ['-c', join(dir, 'containerd.toml')], { stdio: 'ignore', env: { ...process.env, ...env } });
  const ended = new Promise((resolve) => daemon.once('exit', resolve));
  try {
    await waitFor('containerd', () => existsSync(socket));
    await mounted(3, async (upper) => {
      const words = ['run', '--rm', '--rootfs', target, 'one', '/bin/sh', '-c', 'echo in > /f; cat /f'];
      const done = await run('ctr', '-a', socket, ...words);
      t.match(done, { code: 0, stdout: 'in\n' }, done.stderr);
      t.equal(readFileSync(join(upper, 'f'), 'utf8'), 'in\n');
    });
  } finally {
    daemon.kill('SIGTERM');
    await ended;
  }
  const [upper = '', work = ''] = layers(4);
  for (const path of [upper, work]) mkdirSync(path);
  const options = `lowerdir=${join(base, 'root')},upperdir=${upper},workdir=${work}`;
  await must('mount.fuse3', 'overlay', target, '-o', options, '-t', 'lamina');
  t.match(
    mountTable().filter(({ point }) => point === target),
    [{ type: 'fuse.lamina' }],
  );
  await must('umount', target);
});
