// What `create` and `run` ask of the engine is what Docker's command line asks for the same words.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { scratchDir } from '../support/paths.js';
import { FakeEngine, withoutEmpty } from './fake-engine.js';

const ID = 'c'.repeat(64);
const dir = scratchDir();
const engine = new FakeEngine(join(dir, 'engine.sock'));

t.before(async () => {
  await engine.listen();
  writeFileSync(join(dir, 'vars'), '# a comment\nA=1\n\nB=two words\nFROM_HERE\nUNSET_HERE\n  INDENTED=x\n');
  writeFileSync(join(dir, 'labels'), 'one=1\ntwo\n');
  mkdirSync(join(dir, 'site'));
  engine.answers = { 'POST /containers/create': { status: 201, json: { Id: ID, Warnings: ['it is not so'] } } };
});
t.teardown(() => {
  engine.close();
  rmSync(dir, { recursive: true });
});

/** The arguments of `create`, without the image. */
const CASES: readonly string[] = [
  '',
  '--name web --hostname box -u 1000:1000 -w /srv -e A=1 -e FROM_HERE -e UNSET_HERE',
  '--env-file vars -e A=2 --label-file labels -l three=3 -l four',
  '-it --rm --init --privileged --read-only',
  '-a stdout -a stderr',
  '-a stdin',
  '-v /data -v /data/ -v named:/n -v named:/n -v ./site:/site:ro -v /host:/h:ro,rshared -v .:/dot',
  '--volumes-from a --volumes-from b:ro --volume-driver local',
  '--tmpfs /run --tmpfs /tmp:size=1m,noexec',
  '--mount type=bind,source=/a,target=/b,readonly --mount source=vol,target=/v,volume-nocopy,volume-label=x=y',
  '--mount type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=1770 --mount type=volume,target=/anon',
  '--mount type=bind,src=./site,dst=/s,bind-propagation=rslave --mount src=v2,target=/v2,volume-subpath=sub',
  '--mount type=volume,src=name,target=/n,volume-driver=local,volume-opt=type=tmpfs,volume-opt=device=tmpfs',
  '-p 8080:80 -p 127.0.0.1:53:53/udp -p 443 --expose 9000 --expose 100-102/udp',
  '-p 7000-7002:80-82 -p [::1]:90:90 -P -p 127.0.0.1::81',
  '--network host',
  '--network net1 --network-alias x --network-alias y --ip 10.1.2.3',
  '--network none --dns 1.1.1.1 --dns-search example.org --dns-option ndots:2 --add-host a:1.2.3.4 --add-host=b=::1',
  '--restart on-failure:3',
  '--restart always',
  '--restart unless-stopped',
  '--cap-add NET_ADMIN --cap-drop ALL --security-opt no-new-privileges --group-add 5 --group-add audio',
  '-m 64m --memory-reservation 32m --memory-swap -1 --cpus 1.5 --cpu-shares 512 --cpuset-cpus 0-1 --pids-limit 100',
  '--cpus .5 --memory-swap 128m -m 100m --oom-score-adj 100',
  '--ulimit nofile=1024 --ulimit nproc=10:20 --ulimit core=-1 --sysctl net.core.somaxconn=1024 --shm-size 32m',
  '--device /dev/fuse --device /dev/null:/dev/x --device /dev/zero:/dev/y:r --device /dev/full:rw',
  '--stop-signal SIGINT --stop-timeout 3 --log-driver json-file --log-opt max-size=1m',
  '--entrypoint /bin/sh --pid host --no-healthcheck',
  '--entrypoint= --ipc host --uts host',
  '--oom-kill-disable --cpu-period 100000 --cpu-quota 50000 --cpuset-mems 0',
  '--storage-opt size=10G --platform linux/amd64',
];

/** Where we say more than Docker, or the same in other words. */
function comparable(body: unknown): unknown {
  const { HostConfig: host, ...config } = structuredClone(body) as { HostConfig: Record<string, unknown> };
  delete host['ConsoleSize'];
  // Docker's way of not saying it.
  if (host['MemorySwappiness'] === -1) delete host['MemorySwappiness'];
  for (const key of ['Binds', 'VolumesFrom', 'Links']) if (Array.isArray(host[key])) host[key] = (host[key] as string[]).sort();
  // Docker's own order differs from one run to the next.
  if ('Env' in config && Array.isArray(config.Env)) config.Env.sort();
  return withoutEmpty({ ...config, HostConfig: host });
}

for (const words of CASES) {
  void t.test(`create ${words}`, async (t) => {
    const args = ['create', ...words.split(' ').filter(Boolean), 'image', 'cmd', '-x'];
    const options = { env: { FROM_HERE: 'here' }, cwd: dir };
    const docker = await engine.run('docker', args, options);
    const lamina = await engine.run('lamina', args, options);
    t.equal(docker.code, 0, docker.stderr);
    t.equal(lamina.code, docker.code, lamina.stderr);
    t.equal(lamina.stdout, docker.stdout);
    t.equal(lamina.stderr, docker.stderr);
    const [ours] = lamina.asked;
    const [theirs] = docker.asked;
    t.same(comparable(ours?.body), comparable(theirs?.body));
    t.same(ours?.query, theirs?.query);
  });
}
