// Rootless podman over mount.lamina, which it calls as root of a user namespace: neither /run nor trusted attributes are ours
// there. The test runs as nobody with subordinate ids, in namespaces that have a /dev/fuse for everybody and end with it.

import { chmodSync, chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { makeBusyboxArchive } from '../../src/demo/busybox.js';
import { type Done, command } from '../support/command.js';
import { privilegedRequired, unavailable } from '../support/mounts.js';
import { checkout } from '../support/paths.js';
import { Root } from '../support/roots.js';

const NOBODY = 65534;
const PROGRAMS = ['/usr/bin/podman', '/usr/bin/newuidmap', '/usr/bin/fusermount3', '/etc/subuid', '/etc/subgid'];

async function missing(): Promise<string | undefined> {
  const absent = PROGRAMS.find((path) => !existsSync(path));
  return absent === undefined ? unavailable('lamina') : `${absent} is not there`;
}

/** Runs a script as nobody; `$PODMAN` has lamina for its overlay. */
function asNobody(root: Root, script: string): Promise<Done> {
  const outer = `unset NODE_OPTIONS; mount --make-rprivate /
    mknod fuse c 10 229; chmod 666 fuse; mount --bind fuse /dev/fuse
    mount --bind subids /etc/subuid; mount --bind subids /etc/subgid
    mkdir -p checkout; mount --bind ${checkout} checkout
    exec setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups bash -euc "$SCRIPT"`;
  const program = root.path('checkout/bin/mount.lamina');
  const env = {
    SCRIPT: script,
    HOME: root.path('home'),
    XDG_RUNTIME_DIR: root.path('run'),
    LAMINA_RUN: '',
    PATH: `${root.path('checkout/bin')}:${process.env['PATH'] ?? ''}`,
    PODMAN: `podman --log-level error --cgroup-manager=cgroupfs --storage-driver overlay --storage-opt overlay.mount_program=${program}`,
  };
  const namespaces = ['unshare', '-m', '-p', '-f', '--kill-child', '--mount-proc'];
  return command([...namespaces, 'sh', '-euc', outer], { env: { ...root.env, ...env }, cwd: root.dir, limitMs: 120_000 });
}

function prepare(root: Root): void {
  chmodSync(root.dir, 0o755);
  makeBusyboxArchive(root.path('busybox.tar'));
  writeFileSync(root.path('subids'), `nobody:400000:65536\n`);
  for (const name of ['home', 'run']) {
    mkdirSync(root.path(name), { recursive: true, mode: 0o700 });
    chownSync(root.path(name), NOBODY, NOBODY);
  }
}

void t.test('rootless podman runs, commits and removes over mount.lamina', { timeout: 180_000 }, async (t) => {
  const why = await missing();
  if (why !== undefined && !privilegedRequired) return t.plan(0, why);
  const root = new Root();
  t.teardown(() => root.dispose());
  prepare(root);
  const done = await asNobody(
    root,
    `cd $HOME; $PODMAN load -q -i ${root.path('busybox.tar')} >/dev/null
    $PODMAN run --rm --network none -v vol:/v lamina-demo sh -c \\
      'grep -o "^[^ ]* / fuse.lamina" /proc/mounts; echo x >/f; chown 5:6 /f; stat -c %u:%g /f; mv /srv /srv2; ls -d /srv*; echo v >/v/f'
    $PODMAN run --rm --network none -v vol:/v lamina-demo cat /v/f
    $PODMAN run -d --name c --network none lamina-demo sleep 100 >/dev/null
    $PODMAN exec c sh -c 'echo kept >/tmp/kept; rm -r /srv'
    $PODMAN commit -q c made >/dev/null; $PODMAN rm -f -t 0 c >/dev/null
    $PODMAN run --rm --network none made sh -c 'cat /tmp/kept; ls -d /srv || true' 2>&1`,
  );
  t.equal(done.code, 0, done.stderr);
  t.equal(
    done.stdout,
    ['lamina / fuse.lamina', '5:6', '/srv2', 'v', 'kept', 'ls: /srv: No such file or directory', ''].join('\n'),
    done.stderr,
  );
  return undefined;
});

void t.test('root of a user namespace mounts, and finds its mounts where its user does', { timeout: 60_000 }, async (t) => {
  const why = await missing();
  if (why !== undefined && !privilegedRequired) return t.plan(0, why);
  const root = new Root();
  t.teardown(() => root.dispose());
  prepare(root);
  const done = await asNobody(
    root,
    `cd $HOME; mkdir l u w m; echo low >l/f
    podman --log-level error unshare sh -euc '
      mount.lamina m -o lowerdir=l,upperdir=u,workdir=w; chown 7:8 m/f; stat -c %u:%g m/f; lamina ls -q; ls -A $XDG_RUNTIME_DIR/lamina | wc -l
      lamina umount m; lamina ls -q; getfattr -d -m user.overlay u | grep -c impure
      LAMINA_RUN=$PWD/l/f/none mount.lamina m -o lowerdir=l,upperdir=u,workdir=w || echo refused; ls -A m' 2>&1`,
  );
  t.match(done.stdout, new RegExp(`^7:8\n${root.path('home/m')}\n[1-9]\n1\n[^]*refused\n$`), done.stderr);
  return undefined;
});
