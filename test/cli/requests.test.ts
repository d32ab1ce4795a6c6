// What commands ask of the engine, what they print and how they exit, beside Docker's command line with the same answers.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { scratchDir } from '../support/paths.js';
import { type Answers, type Asked, FakeEngine, frame, withoutEmpty } from './fake-engine.js';

const ID = 'c'.repeat(64);
const dir = scratchDir();
const engine = new FakeEngine(join(dir, 'engine.sock'));
const created = Math.floor(Date.now() / 1000) - 7200;

const ROW = {
  Id: ID,
  Names: ['/web'],
  Image: 'busybox',
  ImageID: `sha256:${'d'.repeat(64)}`,
  Command: 'sh -c "echo a long command line"',
  Created: created,
  Ports: [
    { IP: '0.0.0.0', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' },
    { PrivatePort: 53, Type: 'udp' },
  ],
  Labels: { a: '1', b: '2' },
  State: 'running',
  Status: 'Up 2 hours',
  SizeRw: 1234,
  SizeRootFs: 4_321_000,
  HostConfig: { NetworkMode: 'bridge' },
  NetworkSettings: { Networks: { bridge: {} } },
  Mounts: [
    { Type: 'volume', Name: 'data', Source: '/v/data', Destination: '/data' },
    { Type: 'bind', Source: '/a/rather/long/path/on/the/host', Destination: '/b' },
  ],
};
const INSPECTED = {
  // Docker asks on by the id that it has read.
  Id: 'web',
  Name: '/web',
  State: { Running: true, Status: 'running', ExitCode: 3, Pid: 12 },
  Config: { Tty: false, OpenStdin: false, Env: ['A=1', 'B=2'], Labels: { k: 'v' } },
  HostConfig: { LogConfig: { Type: 'json-file' } },
  Mounts: [
    {
      Type: 'volume',
      Name: 'data',
      Source: '/v/data',
      Destination: '/data',
      Driver: 'local',
      Mode: 'z',
      RW: true,
      Propagation: '',
    },
  ],
  NetworkSettings: { Ports: { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '8080' }], '53/udp': null } },
};
const VOLUME = {
  Name: 'data',
  Driver: 'local',
  Mountpoint: '/v/data',
  Labels: { x: 'y' },
  Scope: 'local',
  Options: null,
  CreatedAt: '2026-01-01T00:00:00Z',
};
const NAMES = ['v10', 'v2', 'other', 'V3', 'a_1', 'v02', 'v', 'a10b2', 'a10b'];
const NETWORK = {
  Id: 'e'.repeat(64),
  Name: 'net1',
  Driver: 'bridge',
  Scope: 'local',
  IPAM: { Config: [] },
  Labels: {},
  Internal: false,
  EnableIPv6: false,
  Created: '2026-01-01T00:00:00Z',
};

const none = { status: 204 };
const missing = { status: 404, json: { message: 'No such container: nope' } };

const ANSWERS: Answers = {
  'GET /info': { json: { ID: 'x', OSType: 'linux', Containers: 1, DriverStatus: [] } },
  'POST /build/prune': { json: { CachesDeleted: null, SpaceReclaimed: 1234 } },
  'GET /version': { json: { Version: '1', ApiVersion: '1.47', Components: [] } },
  'GET /containers/json': {
    json: [
      ROW,
      { ...ROW, Id: 'f'.repeat(64), Names: ['/db'], Ports: [], Mounts: [], State: 'exited', Status: 'Exited (0) 1 hour ago' },
    ],
  },
  'GET /containers/web/json': { json: INSPECTED },
  'GET /containers/nope/json': missing,
  'GET /images/nope/json': { status: 404, json: { message: 'No such image: nope' } },
  'GET /networks/nope': { status: 404, json: { message: 'network nope not found' } },
  'GET /volumes/nope': { status: 404, json: { message: 'get nope: no such volume' } },
  ...Object.fromEntries(
    ['stop', 'start', 'restart', 'kill', 'pause', 'unpause', 'rename'].map((name) => [`POST /containers/web/${name}`, none]),
  ),
  'POST /containers/nope/stop': missing,
  'POST /containers/nope/kill': missing,
  'DELETE /containers/web': none,
  'DELETE /containers/nope': missing,
  'POST /containers/web/wait': { json: { StatusCode: 7 } },
  'POST /containers/web/update': { json: { Warnings: [] } },
  'GET /containers/web/top': {
    json: {
      Titles: ['PID', 'CMD'],
      Processes: [
        ['1', 'sleep 1'],
        ['22', 'a b'],
      ],
    },
  },
  'GET /containers/web/logs': {
    text: Buffer.concat([frame(1, 'out\n'), frame(2, 'err\n')]).toString('latin1'),
    type: 'application/vnd.docker.multiplexed-stream',
  },
  'GET /containers/web/changes': {
    json: [
      { Path: '/a', Kind: 1 },
      { Path: '/b', Kind: 0 },
      { Path: '/c', Kind: 2 },
    ],
  },
  'POST /containers/prune': { json: { ContainersDeleted: [ID], SpaceReclaimed: 12345 } },
  'POST /containers/web/exec': { status: 201, json: { Id: 'x1' } },
  'POST /exec/x1/start': { status: 200 },
  'GET /exec/x1/json': { json: { ExitCode: 5, Running: false } },
  'POST /commit': { status: 201, json: { Id: `sha256:${'9'.repeat(64)}` } },
  'GET /volumes': {
    json: {
      Volumes: ['data', ...NAMES].map((Name, i) => ({ ...VOLUME, Name, Labels: i > 0 ? null : VOLUME.Labels })),
      Warnings: null,
    },
  },
  'GET /volumes/data': { json: VOLUME },
  'POST /volumes/create': { status: 201, json: VOLUME },
  'DELETE /volumes/data': none,
  'DELETE /volumes/nope': { status: 404, json: { message: 'get nope: no such volume' } },
  'POST /volumes/prune': { json: { VolumesDeleted: ['data'], SpaceReclaimed: 5_000_000 } },
  'GET /system/df': {
    json: {
      LayersSize: 4_321_000,
      Images: [
        {
          Id: `sha256:${'7'.repeat(64)}`,
          RepoTags: ['a:1', 'b:2'],
          RepoDigests: [],
          Created: created,
          Size: 4_321_000,
          SharedSize: 0,
          Containers: 1,
        },
        {
          Id: `sha256:${'8'.repeat(64)}`,
          RepoTags: [],
          RepoDigests: [],
          Created: created,
          Size: 1000,
          SharedSize: 1000,
          Containers: 0,
        },
      ],
      Containers: [ROW],
      Volumes: [{ ...VOLUME, UsageData: { Size: 12_345, RefCount: 2 } }],
      BuildCache: null,
    },
  },
  'GET /networks': { json: [NETWORK, ...NAMES.map((Name) => ({ ...NETWORK, Name }))] },
  'GET /networks/net1': { json: NETWORK },
  'POST /networks/create': { status: 201, json: { Id: NETWORK.Id, Warning: '' } },
  'DELETE /networks/net1': none,
  'POST /images/a:1/tag': { status: 201 },
  'GET /images/busybox/history': {
    json: [
      {
        Id: `sha256:${'7'.repeat(64)}`,
        Created: created,
        CreatedBy: 'RUN a command that is longer than forty five letters',
        Size: 1000,
        Comment: 'c',
      },
    ],
  },
};

/** Words with `|` between those that hold spaces. */
const CASES: readonly string[] = [
  'ps',
  'ps -a',
  'ps -aq',
  'ps -q --no-trunc',
  'ps -s',
  'ps -l',
  'ps -n 3',
  'ps --no-trunc',
  'ps -f name=web -f status=running -f status=exited',
  'ps|--format|{{.ID}} {{.Names}} {{.Image}} {{.Command}} {{.Status}} {{.State}} {{.Ports}} {{.Labels}} {{.Mounts}} {{.LocalVolumes}} {{.Networks}} {{.RunningFor}} {{.CreatedAt}}',
  'ps|--format|table {{.Names}}\t{{.Image}}\t{{.Size}}',
  'ps|--format|{{json .Names}}',
  'ps|--format|{{.Label "a"}}',
  'ps|--format|{{range .Names}}x{{end}}',
  'ps --format json',
  'ps extra',
  'ps --nosuch',
  'container ls -a',
  'stop web',
  'stop -t 3 -s SIGINT web nope',
  'start web',
  'restart -t 1 web',
  'kill web',
  'kill -s HUP web nope',
  'pause web',
  'unpause web',
  'rename web web2',
  'rename web',
  'wait web',
  'rm web',
  'rm -f -v web nope',
  'rm nope',
  'rm',
  'top web',
  'top web -o pid',
  'logs web',
  'logs -f -t -n 5 --details web',
  'logs --since 2026-01-01T00:00:00Z --until 1700000000 web',
  'logs nope',
  'port web',
  'port web 80',
  'port web 81',
  'diff web',
  'inspect|--format|{{.Name}} {{.State.Running}} {{.State.ExitCode}}|web',
  'inspect|--format|{{range .Mounts}}{{.Name}}:{{.Destination}} {{end}}|web',
  'inspect|--format|{{index .Config.Labels "k"}} {{len .Config.Env}} {{index .Config.Env 1}}|web',
  'inspect|--format|{{if .State.Running}}up{{else}}down{{end}} {{join .Config.Env ","}}|web',
  'inspect|--format|{{range $k, $v := .NetworkSettings.Ports}}{{$k}}{{range $v}} {{.HostPort}}{{end}};{{end}}|web',
  'inspect|--format|{{with .HostConfig}}{{.LogConfig.Type}}{{end}} {{upper .State.Status}} {{printf "%s-%d" .Name .State.Pid}}|web',
  'inspect|--format|{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}|web',
  'inspect|--format|{{eq .State.Status "running"}} {{and .State.Running (not .State.Running)}}|web',
  'inspect|--format|{{.Mounts}} {{.NetworkSettings.Ports}} {{.Config.Labels}}|web',
  'inspect|--format|{{.Config.Volumes}} {{.Config.Entrypoint}} {{.HostConfig.Tmpfs}} {{json .HostConfig.Mounts}} {{len .Config.Volumes}}|web',
  'inspect|--format|{{range .Mounts}}{{if eq .Name ""}}{{.Source}}{{else}}{{.Name}} {{.Driver}}{{end}};{{end}} {{json .Mounts}}|web',
  'inspect|--format|{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}} {{.State.Health}} {{.SizeRw}}|web',
  'inspect|--format|{{.State.Health.Status}}|web',
  'inspect|--format|{{range $k, $v := .Config.Volumes}}{{$k}}{{end}}{{index .Config.Labels "nope"}}{{.Config.Labels.nope}}|web',
  'inspect|--format|{{range .Mounts}}{{slice .Name 0 2}} {{printf "%.3s|%5.1s" .Name .Destination}}{{end}}|web',
  'inspect|--format|{{.Options}} {{.Labels}} {{json .Labels}} {{index .Labels "x"}}|data',
  'inspect --format json web data',
  'inspect --format json nope',
  'inspect|--format|{{.Nosuch}}|web',
  'inspect|--format|{{.State.|web',
  'inspect web',
  'inspect --type container web nope',
  'inspect nope',
  'inspect --type volume data',
  'update --restart always web',
  'update -m 64m --cpus 2 web',
  'container prune -f --filter until=1h',
  'exec web true',
  'exec -e A=1 -u 5 -w /srv --privileged web sh -c x',
  'exec -d web true',
  'exec web',
  'commit web',
  'commit -a me -m msg|-c|CMD x|web|repo/name:tag',
  'commit --pause=false web registry:5000/x',
  'volume ls',
  'volume ls -q',
  'volume prune -a -f --filter all=1',
  'system df -v',
  'system df -v|--format|{{range .Volumes}}{{.Name}} {{.Links}} {{.Size}};{{end}}{{range .Containers}}{{.Names}} {{.LocalVolumes}} {{.Size}};{{end}}',
  'system df',
  'network ls --format {{.Name}}',
  'volume ls -f dangling=true|--format|{{.Name}} {{.Driver}} {{.Mountpoint}} {{.Labels}} {{.Scope}}',
  'volume create data',
  'volume create --label a=b -d local -o type=tmpfs -o device=tmpfs data',
  'volume inspect data',
  'volume inspect|-f|{{.Mountpoint}}|data',
  'volume rm data',
  'volume rm data nope',
  'volume rm -f nope',
  'volume prune -f',
  'volume prune -a -f --filter label=x',
  'network ls',
  'network ls -q --no-trunc',
  'network create net1',
  'network create --subnet 10.9.0.0/24 --gateway 10.9.0.1 --internal --label a=b -d bridge net1',
  'network rm net1',
  'network inspect net1',
  'tag a:1 b:2',
  'builder prune -f',
  'builder prune -a -f --filter until=1h',
  'history busybox',
  'history -q --no-trunc busybox',
];

/** Reads that Docker makes on the way and lamina does not need, and the other way round. */
function actions(asked: readonly Asked[]): unknown[] {
  const reads = (each: Asked): boolean =>
    each.method === 'HEAD' ||
    each.path === '/info' ||
    /^\/(exec|plugins|containers|images|networks|volumes)\/[^/]+(\/json)?$/.test(each.path);
  return asked
    .filter((each) => each.method !== 'GET' || !reads(each))
    .map((each) =>
      JSON.stringify(withoutEmpty(each))
        .replace(/docker\.io\/(library\/)?/g, '')
        .replace(/(\.0+)(?=")/g, ''),
    )
    .sort();
}

/** The name of the program is not the same; the rest is. */
const neutral = (text: string): unknown => {
  const plain = text
    .replace(/docker|lamina/gi, 'PROGRAM')
    .replace(/ +$/gm, '')
    .trim();
  return plain.startsWith('[\n') ? (JSON.parse(plain) as unknown) : plain;
};

t.before(async () => {
  await engine.listen();
  engine.answers = ANSWERS;
  engine.onUpgrade = (_, connection) => void connection.end(Buffer.concat([frame(1, 'to stdout\n'), frame(2, 'to stderr\n')]));
});
t.teardown(() => {
  engine.close();
  rmSync(dir, { recursive: true });
});

for (const text of CASES) {
  void t.test(text, async (t) => {
    const args = text.split('|').flatMap((part, i) => (i === 0 && !/[{]/.test(part) ? part.split(' ') : [part]));
    const docker = await engine.run('docker', args);
    const lamina = await engine.run('lamina', args);
    t.same(neutral(lamina.stdout), neutral(docker.stdout), 'stdout');
    t.equal(lamina.code, docker.code, `exit code: ${docker.stderr} ${lamina.stderr}`);
    t.same(actions(lamina.asked), actions(docker.asked), 'requests');
    if (process.env['LAMINA_COMPARE_STDERR']) t.same(neutral(lamina.stderr), neutral(docker.stderr), 'stderr');
  });
}
