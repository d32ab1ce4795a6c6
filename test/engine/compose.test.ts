// docker-compose and the Python SDK below it, at our socket: a two-service file with a shared named volume.

import { writeFileSync } from 'node:fs';
import t from 'tap';
import { EngineRig } from '../support/engine-rig.js';

const FILE = `version: "3.8"
services:
  one:
    image: busybox
    command: sh -c 'echo one up; echo data > /shared/f; exec sleep 1000'
    init: true
    environment: { WORD: "\${WORD:-first}" }
    volumes: [ "shared:/shared", /kept ]
  two:
    image: busybox
    command: sleep 1000
    depends_on: [ one ]
    volumes: [ "shared:/shared:ro", { type: tmpfs, target: /fast } ]
    networks: { default: { aliases: [ deux ] } }
volumes:
  shared: { }
`;

const SDK = `
import docker, io, tarfile
client = docker.from_env(timeout=30)
c = client.containers.run('busybox', 'sleep 1000', detach=True, volumes={'sdk': {'bind': '/v', 'mode': 'rw'}})
print(c.exec_run(['sh', '-c', 'echo out; exit 4']))
archive = io.BytesIO()
with tarfile.open(fileobj=archive, mode='w') as tar:
    info = tarfile.TarInfo('f'); info.size = 3; tar.addfile(info, io.BytesIO(b'abc'))
print(c.put_archive('/v', archive.getvalue()))
bits, stat = c.get_archive('/v/f')
print(stat['size'], len(b''.join(bits)) % 512)
c.commit('committed'); c.restart(timeout=0); c.reload(); print(c.status)
print(client.plugins.list())
anonymous = client.containers.create('busybox', 'true', volumes=['/anonymous'])
print([(m['Destination'], len(m['Name'])) for m in anonymous.attrs['Mounts']])
anonymous.remove(v=True)
c.remove(force=True, v=True); client.images.remove('committed'); client.volumes.get('sdk').remove()
`;

void t.test('docker-compose brings up, uses and takes down two services', { timeout: 200_000 }, async (t) => {
  const rig = new EngineRig();
  t.teardown(() => rig.end());
  await rig.start();
  await rig.loadImages();
  writeFileSync(rig.path('docker-compose.yml'), FILE);
  const compose = async (words: string): Promise<string> => {
    const { code, stdout, stderr } = await rig.sh(`docker-compose -p pair ${words} </dev/null`);
    if (code !== 0) throw new Error(`docker-compose ${words}: exit ${code}: ${stderr}${stdout}`);
    return stdout;
  };
  await compose('up -d');
  t.match(await compose('ps'), /pair_one_1 .*Up[^]*pair_two_1 .*Up/);
  t.match(await compose('logs'), /one up/);
  t.equal(await compose('exec -T two cat /shared/f'), 'data\n', 'the volume is shared');
  for (const [from, to] of ['two one', 'one two', 'one deux'].map((pair) => pair.split(' '))) {
    t.match(await compose(`exec -T ${from} ping -c1 -W2 ${to}`), /1 packets received/, `${from} finds ${to}`);
  }
  await compose('restart -t 0');
  t.match(await compose('exec -T one ping -c1 -W2 two'), /1 packets received/, 'also after a restart');
  await compose('up -d');
  await compose('exec -T one touch /kept/f');
  await compose('exec -T two touch /fast/f');
  const again = await rig.sh('WORD=second docker-compose -p pair up -d -t 0');
  t.equal(again.code, 0, again.stderr);
  t.match(again.stderr, /Recreating pair_one_1/);
  t.equal(await compose(`exec -T one sh -c 'echo $WORD; ls /kept'`), 'second\nf\n', 'made anew with its volume');
  await compose('down -v -t 0');
  t.equal(await rig.must('docker', 'ps', '-aq'), '');
  // Compose has taken it over by name, so that it is left; it is still an anonymous one.
  t.match(await rig.must('docker', 'volume', 'prune', '-f'), /^Deleted Volumes:\n[0-9a-f]{64}\n\n/);
  t.equal(await rig.must('docker', 'volume', 'ls', '-q'), '');

  writeFileSync(rig.path('sdk.py'), SDK);
  const sdk = await rig.sh('/usr/bin/python3 sdk.py');
  t.equal(sdk.stdout, "ExecResult(exit_code=4, output=b'out\\n')\nTrue\n3 0\nrunning\n[]\n[('/anonymous', 64)]\n", sdk.stderr);
  t.equal(await rig.must('docker', 'volume', 'ls', '-q'), '');
});
