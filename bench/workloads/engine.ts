// Containers, beside podman with the same runtime on the same filesystem: running one, loading an image, committing a
// change, and a hundred at once.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeArchive, makeBusyboxRoot, packLayerOf } from '../../src/demo/busybox.js';
import type { Bench, Case, Workload } from '../bench.js';
import { load, root } from '../load.js';
import { killGroup, run, start, until } from '../process.js';
import { processOf, residentBytes } from '../server.js';

/** How to type a command of one engine. */
interface Client {
  readonly name: string;
  readonly command: (...args: string[]) => string[];
}

const warm = { better: 'lower', cache: 'warm', unit: 'ms', versus: ['podman'] } as const;
const cases = {
  run: { id: 'run-rm', title: 'run --rm busybox /bin/true, default network', ...warm },
  alone: { id: 'run-rm-no-network', title: 'run --rm --network none busybox /bin/true', ...warm },
  load: { id: 'load-120mb', title: 'load of an image of 120 MB in 10,000 files', ...warm },
  commit: { id: 'commit-one-file', title: 'commit of one changed file on that image', ...warm },
  start: {
    id: 'start-in-crowd',
    title: 'start of a container, alone and beside 99 others',
    ...warm,
    versus: ['the first'],
  },
  find: {
    id: 'find-in-crowd',
    title: 'find in a container of 10,000 files, alone and beside 99 others',
    ...warm,
    versus: ['the first'],
  },
  memory: {
    id: 'memory-per-mount',
    title: 'Memory of daemon and mount server for each of 100 containers',
    better: 'lower',
    cache: 'not applicable',
    unit: 'MB',
    versus: [],
  },
} satisfies Record<string, Case>;

/** `names` of which the layer holds 10,000 files of 12 kB beside busybox. */
function makeImages(bench: Bench): { small: string; big: string } {
  const directory = bench.directory();
  const files = bench.size(10_000, 1000);
  const small = join(directory, 'small.tar');
  const top = makeBusyboxRoot(directory);
  const layer = join(directory, 'layer.tar');
  packLayerOf(top, layer);
  makeArchive(small, layer, 'localhost/small:latest', 'bench');
  const content = Buffer.alloc(12_000);
  for (let i = 0; i < files; i++) {
    const to = join(top, 'srv', `d${i % 100}`);
    if (i < 100) mkdirSync(to);
    content.writeUInt32LE(i);
    writeFileSync(join(to, `f${i}`), content);
  }
  packLayerOf(top, layer);
  const big = join(directory, 'big.tar');
  makeArchive(big, layer, 'localhost/big:latest', 'bench');
  rmSync(top, { recursive: true });
  return { small, big };
}

/** Podman with a store of its own. */
function podman(bench: Bench): Client {
  const directory = bench.directory();
  const own = ['--root', join(directory, 'root'), '--runroot', join(directory, 'run')];
  const client: Client = {
    name: 'podman',
    command: (...args) => ['podman', ...own, '--runtime', 'runc', '--cgroup-manager', 'cgroupfs', ...args],
  };
  bench.undo.push(async () => {
    await run(client.command('system', 'reset', '--force'), { evenInterrupted: true });
  });
  return client;
}

/** An engine of our own, with lamina's command line and with Docker's. */
async function lamina(bench: Bench): Promise<{ ours: Client; docker: Client; pids: () => number[] }> {
  const directory = bench.directory();
  const socket = join(directory, 'socket');
  const environment = [
    'LAMINA_NO_START=1',
    `LAMINA_ROOT=${join(directory, 'root')}`,
    `LAMINA_RUN=${join(directory, 'run')}`,
    `LAMINA_SOCKET=${socket}`,
  ];
  const program = join(root, 'bin/lamina');
  const ours: Client = { name: 'lamina', command: (...args) => ['env', ...environment, program, ...args] };
  const docker: Client = { name: 'docker at lamina', command: (...args) => ['docker', '-H', `unix://${socket}`, ...args] };
  const daemon = start(['env', ...environment, program, 'daemon']);
  bench.undo.push(async () => {
    const ids = (await run(ours.command('ps', '-aq'), { evenInterrupted: true })).split('\n').filter(Boolean);
    if (ids.length > 0) await run(ours.command('rm', '-f', ...ids), { evenInterrupted: true });
    daemon.kill('SIGTERM');
    await until('the daemon ends', () => daemon.exitCode !== null || daemon.signalCode !== null).catch(() => killGroup(daemon));
    await run(['sh', '-c', 'ip -o link | grep -o "lamina[0-9a-f]*" | sort -u | xargs -r -n 1 ip link delete'], {
      evenInterrupted: true,
    });
  });
  await until('the daemon answers', async () =>
    run(ours.command('version'))
      .then(() => run(ours.command('ps', '-q')))
      .then(
        () => true,
        () => false,
      ),
  );
  const pids = (): number[] =>
    [processOf('start-lamina.js', directory), processOf('supervisor-main.js', directory)].flatMap((pid) => pid ?? []);
  return { ours, docker, pids };
}

async function timed(command: readonly string[]): Promise<number> {
  return (await load(['run', ...command])).ns / 1e6;
}

/** Limits that podman's defaults exceed in a confined host. */
const LIMITS = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1000:1000'];

async function measureRuns(bench: Bench, clients: readonly Client[]): Promise<void> {
  const once = (client: Client, ...more: string[]): Promise<number> =>
    timed(client.command('run', '--rm', ...LIMITS, ...more, 'localhost/small', '/bin/true'));
  await bench.interleave(bench.size(15, 3), clients, async (client) => {
    bench.record(cases.run, client.name, await once(client));
    bench.record(cases.alone, client.name, await once(client, '--network', 'none'));
  });
}

async function measureImages(bench: Bench, clients: readonly Client[], archive: string): Promise<void> {
  await bench.interleave(bench.size(5, 2), clients, async (client) => {
    await run(['sync']);
    bench.record(cases.load, client.name, await timed(client.command('load', '-i', archive)));
    const change = ['run', '--name', 'changed', ...LIMITS, '--network', 'none', 'localhost/big'];
    await run(client.command(...change, 'sh', '-c', 'echo changed > /srv/d0/f0'));
    bench.record(cases.commit, client.name, await timed(client.command('commit', 'changed', 'localhost/changed')));
    await run(client.command('rm', 'changed'));
    await run(client.command('rmi', 'localhost/changed'));
    await run(client.command('rmi', 'localhost/big'));
  });
}

/** A hundred containers of one image: what the first and the last of them cost. */
async function measureCrowd(bench: Bench, client: Client, pids: () => number[], archive: string): Promise<void> {
  const count = bench.size(100, 20);
  await run(client.command('load', '-i', archive));
  const memory = (): number => pids().reduce((sum, pid) => sum + residentBytes(pid), 0);
  const startOne = (name: string): Promise<number> =>
    timed(client.command('run', '-d', '--name', name, ...LIMITS, '--network', 'none', 'localhost/big', 'sleep', '10000'));
  const find = (name: string): Promise<number> =>
    timed(client.command('exec', name, 'find', '/srv', '-name', 'none', '-size', '+1'));
  const sample = async (who: string, name: string): Promise<void> => {
    for (let i = 0; i < bench.size(5, 2); i++) {
      bench.record(cases.start, who, await startOne(name));
      bench.record(cases.find, who, await find(name));
      await run(client.command('rm', '-f', name));
    }
  };
  await sample('the first', 'one');
  await startOne('member0');
  await find('member0');
  const before = memory();
  for (let i = 1; i < count; i++) {
    await startOne(`member${i}`);
    bench.progress(`${i + 1} of ${count} containers up`);
  }
  bench.record(cases.memory, client.name, (memory() - before) / (count - 1) / 1e6);
  await sample('the hundredth', 'last');
  const names = Array.from({ length: count }, (_, i) => `member${i}`);
  await run(client.command('rm', '-f', ...names));
}

export const engine: Workload = {
  name: 'engine',
  title: 'engine: containers and images beside podman',
  async run(bench) {
    const { small, big } = makeImages(bench);
    const { ours, docker, pids } = await lamina(bench);
    const others = await run(['podman', '--version']).then(
      () => [podman(bench)],
      () => [],
    );
    if (others.length === 0) bench.skipped.set('podman', 'podman not found');
    for (const client of [ours, ...others]) await run(client.command('load', '-i', small));
    const clients = await bench.checked([ours, docker, ...others], async (client) => {
      const said = await run(client.command('run', '--rm', ...LIMITS, 'localhost/small', 'echo', 'hello'));
      if (said !== 'hello\n') throw new Error(`run printed ${JSON.stringify(said)}`);
    });
    await measureRuns(bench, clients);
    await measureImages(
      bench,
      clients.filter((client) => client !== docker),
      big,
    );
    await measureCrowd(bench, ours, pids, big);
  },
};
