// What `docker events` tells of images, of networks that containers come to and leave, and of terminals.

import { mkdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import t from 'tap';
import { call } from '../support/engine-api.js';
import { EngineRig } from '../support/engine-rig.js';

interface Told {
  readonly Action: string;
  readonly id?: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
}

const rig = new EngineRig();
t.teardown(() => rig.end());

const docker = (...args: string[]): Promise<string> => rig.must('docker', ...args);

/** All that was told until now and passes the filters. */
async function told(...filters: readonly string[]): Promise<Told[]> {
  // What happened in this very millisecond too.
  const until = String((Date.now() + 1) / 1000);
  const flags = filters.flatMap((filter) => ['-f', filter]);
  const lines = await docker('events', '--until', until, '--format', '{{json .}}', ...flags);
  return lines
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Told);
}

t.before(async () => {
  await rig.start();
  await rig.loadImages();
});

void t.test('events of images have their labels, and the id unless they are about a name', async (t) => {
  mkdirSync(rig.path('context'));
  writeFileSync(rig.path('context', 'Dockerfile'), 'FROM busybox\nLABEL kind=told\n');
  await rig.must('lamina', 'build', '-q', '-t', 'told:1', 'context');
  const id = await docker('image', 'inspect', '-f', '{{.Id}}', 'told:1');
  await docker('tag', 'told:1', 'told:2');
  await docker('save', '-o', rig.path('told.tar'), 'told:1');
  await docker('rmi', 'told:2');
  await docker('rmi', 'told:1');
  await docker('load', '-i', rig.path('told.tar'));
  await rig.sh('tar c context | docker import -c "LABEL kind=told" - told:3');
  const imported = await docker('image', 'inspect', '-f', '{{.Id}}', 'told:3');
  const shown = (await told('type=image', 'label=kind=told')).map(({ Action: action, Actor: actor }) => [
    action,
    actor.ID,
    actor.Attributes['name'],
  ]);
  t.same(shown, [
    ['tag', id, 'told:1'],
    ['tag', id, 'told:2'],
    ['save', id, id],
    ['untag', id, id],
    ['untag', id, id],
    ['load', id, id],
    ['import', imported, imported],
  ]);
  const [gone, ...more] = await told('event=delete', `image=${id}`);
  t.same([gone?.Actor, gone?.id, more], [{ ID: id, Attributes: { name: id } }, id, []]);
  t.same((await told('image=told', 'event=tag')).length, 2, 'found by the name without its tag');
  await docker('rmi', 'told:1', 'told:3');
});

void t.test('a container comes to its networks when it starts and leaves them when it ends', async (t) => {
  const network = await docker('network', 'create', 'own');
  const events = async (): Promise<string[]> =>
    (await told('type=network')).flatMap(({ Action: action, Actor: { Attributes: of } }) =>
      of['container'] === undefined ? [] : [`${action} ${of['name']} ${of['type']} ${of['container'].slice(0, 12)}`],
    );
  const id = (await docker('create', '--name', 'box', '--network', 'own', 'busybox', 'sleep', '100')).slice(0, 12);
  await docker('network', 'connect', 'bridge', 'box');
  t.same(await events(), [], 'what does not run is on no network');
  await docker('start', 'box');
  const both = (action: string): string[] => ['bridge', 'own'].map((name) => `${action} ${name} bridge ${id}`);
  t.same((await events()).sort(), both('connect'));
  await docker('kill', 'box');
  await docker('wait', 'box');
  await docker('rm', 'box');
  t.same((await events()).slice(2).sort(), both('disconnect'));
  const failed = await rig.run('docker', 'run', '--name', 'box', '--network', 'own', 'busybox', 'nosuch');
  t.equal(failed.code, 127);
  await docker('run', '--rm', '--network', 'none', 'busybox', 'true');
  await docker('run', '--rm', '--network', 'host', 'busybox', 'true');
  const words = (await events()).slice(4).map((line) => line.replace(/ \w+$/, ''));
  t.same(words, [
    'connect own bridge',
    'disconnect own bridge',
    'connect none null',
    'disconnect none null',
    ...['connect', 'disconnect'].map((action) => `${action} host host`),
  ]);
  t.same((await told(`network=${network}`, 'event=create')).length, 1);
  await docker('rm', 'box');
  await docker('network', 'rm', 'own');
});

void t.test('a terminal that gets another size, and what was pruned', async (t) => {
  const id = await docker('run', '-dt', '--name', 'box', '--network', 'none', 'busybox', 'sleep', '100');
  t.equal((await call(rig.socket, 'POST', '/containers/box/resize?h=10&w=20')).status, 200);
  const [resize] = await told('event=resize', `container=${id}`);
  t.match(resize?.Actor, { ID: id, Attributes: { name: 'box', height: '10', width: '20' } });
  await docker('rm', '-f', 'box');
  for (const kind of ['container', 'image', 'network']) {
    await docker(kind, 'prune', '-f');
    const [pruned] = await told('event=prune', `type=${kind}`);
    t.match(pruned?.Actor, { ID: '', Attributes: { reclaimed: '0' } }, kind);
  }
});

void t.test('what is copied out is told before the client has it all', async (t) => {
  await docker('create', '--name', 'box', 'busybox');
  for (const [path, action] of [
    ['/containers/box/archive?path=/bin', 'archive-path'],
    ['/containers/box/export', 'export'],
  ] as const) {
    const answer = request({ socketPath: rig.socket, path });
    await new Promise((resolve, reject) => answer.on('response', resolve).on('error', reject).end());
    t.same(
      (await told('container=box', `event=${action}`)).map(({ Action: told }) => told),
      [action],
    );
    answer.destroy();
  }
  await docker('rm', 'box');
});

void t.test('a volume is told of each time that it is asked for', async (t) => {
  await docker('volume', 'create', 'vol');
  await docker('volume', 'create', 'vol');
  await docker('create', '--name', 'box', '-v', 'vol:/v', 'busybox');
  const actions = (await told('type=volume', 'volume=vol')).map(({ Action: action }) => action);
  t.same(actions, ['create', 'create', 'create']);
  await docker('rm', 'box');
  await docker('volume', 'rm', 'vol');
});
