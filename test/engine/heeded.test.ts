// What a request asks is heeded whole, and what cannot be is refused when it is asked for.

import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { request } from 'node:http';
import t from 'tap';
import { waitFor } from '../support/command.js';
import { call, mustCall } from '../support/engine-api.js';
import { EngineRig } from '../support/engine-rig.js';

void t.test('what a request asks', { timeout: 180_000 }, async (t) => {
  const rig = new EngineRig();
  t.teardown(() => rig.end());
  await rig.start();
  await rig.loadImages();
  const { socket } = rig;
  const must = (...args: string[]): Promise<string> => rig.must('lamina', ...args);
  const json = async (path: string): Promise<unknown> => JSON.parse((await mustCall(socket, 'GET', path)).body) as unknown;
  const run = ['run', '-d', '--network', 'none'];

  await t.test('update changes limits and the restart policy, nothing that was fixed when the container was made', async (t) => {
    await must('create', '--name', 'fixed', 'busybox');
    const asked = {
      Privileged: true,
      NetworkMode: 'host',
      Binds: ['/:/host'],
      AutoRemove: true,
      CpuShares: 512,
      BlkioWeight: 300,
    };
    await mustCall(socket, 'POST', '/containers/fixed/update', asked);
    t.match(await json('/containers/fixed/json'), {
      HostConfig: { Privileged: false, NetworkMode: 'bridge', Binds: [], AutoRemove: false, CpuShares: 512, BlkioWeight: 300 },
    });
  });

  await t.test('a limit of processes is taken away by 0 and less', async (t) => {
    const id = await must(...run, '--name', 'many', '--pids-limit', '-1', 'busybox', 'sleep', '100');
    const limit = async (): Promise<unknown> => {
      const { HostConfig: host } = (await json('/containers/many/json')) as { HostConfig: { PidsLimit: number | null } };
      const cgroup = /^\d+:pids:(.*)$|^0::(.*)$/m.exec(
        readFileSync(`/proc/${await must('inspect', '-f', '{{.State.Pid}}', id)}/cgroup`, 'utf8'),
      );
      const [path = ''] = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup']
        .map((top) => `${top}${cgroup?.[1] ?? cgroup?.[2] ?? ''}/pids.max`)
        .filter((each) => existsSync(each));
      return [host.PidsLimit, readFileSync(path, 'utf8').trim()];
    };
    const update = (asked: number | null, version = ''): Promise<unknown> =>
      mustCall(socket, 'POST', `${version}/containers/many/update`, { PidsLimit: asked });
    t.same(await limit(), [null, 'max']);
    for (const none of [0, -1, -2]) {
      await update(32);
      t.same(await limit(), [32, '32']);
      await update(null);
      t.same(await limit(), [32, '32'], 'null changes nothing');
      await update(none);
      t.same(await limit(), [0, 'max'], String(none));
    }
    await must('update', '--pids-limit', '16', 'many');
    t.same(await limit(), [16, '16']);
    await update(-1, '/v1.39');
    t.same(await limit(), [16, '16'], 'older clients do not mean it');
    await must('update', '--pids-limit', '-1', 'many');
    t.same(await limit(), [0, 'max']);
    await must('rm', '-f', 'many');
  });

  await t.test('a swappiness of 0 is one', async (t) => {
    await must('create', '--name', 'still', '--memory', '64m', '--memory-swappiness', '0', 'busybox');
    t.match(await json('/containers/still/json'), { HostConfig: { MemorySwappiness: 0 } });
    await must('rm', 'still');
  });

  await t.test('a command may be one word without a list', async (t) => {
    await mustCall(socket, 'POST', '/containers/create?name=word', { Image: 'busybox', Entrypoint: 'echo', Cmd: 'a b' });
    t.match(await json('/containers/word/json'), { Config: { Entrypoint: ['echo'], Cmd: ['a b'] } });
    await must('rm', 'word');
  });

  await t.test('what asks for nothing that can be made is refused', async (t) => {
    const two = { Image: 'busybox', NetworkingConfig: { EndpointsConfig: { a: {}, b: {} } } };
    const asked: readonly (readonly [path: string, body: object, status: number, message: RegExp])[] = [
      ['/containers/create', {}, 400, /config cannot be empty in order to create a container/],
      ['/v1.43/containers/create', two, 400, /Container cannot be connected to network endpoints: a, b/],
      ['/networks/create', { Name: 'bridge' }, 403, /operation is not permitted on predefined bridge network/],
    ];
    for (const [path, body, status, message] of asked)
      t.match(await call(socket, 'POST', path, body), { status, body: message }, path);
  });

  await t.test('a network that cannot be as it was asked is not made', async (t) => {
    const config = { Subnet: '10.99.0.0/24' };
    const range = (IPRange: string, AuxiliaryAddresses: Record<string, string> = {}): object => ({
      IPAM: { Config: [{ ...config, IPRange, AuxiliaryAddresses }] },
    });
    const asked: readonly (readonly [what: RegExp, body: object])[] = [
      [/--ipv6 is not supported/, { EnableIPv6: true }],
      [/--config-only is not supported/, { ConfigOnly: true }],
      [/--ipam-driver is not supported/, { IPAM: { Driver: 'mine' } }],
      [/invalid ip-range 10\.98\.0\.0\/25: parent subnet 10\.99\.0\.0\/24 doesn't contain/, range('10.98.0.0/25')],
      [/invalid ip-range 10\.99\.0\.0\/16: CIDR block is bigger than its parent subnet/, range('10.99.0.0/16')],
      [/invalid ip-range 10\.99\.0\.9\/25: it should be 10\.99\.0\.0\/25/, range('10.99.0.9/25')],
      [/invalid ip-range x: invalid CIDR block notation/, range('x')],
      [/no available IPv4 addresses/, range('10.99.0.9/32', { a: '10.99.0.9' })],
      [/invalid auxiliary address 10\.98\.0\.1: parent subnet 10\.99\.0\.0\/24 doesn't contain/, range('', { a: '10.98.0.1' })],
      [/invalid auxiliary address x: invalid address/, range('', { a: 'x' })],
      [/more than one --subnet is not supported/, { IPAM: { Config: [config, { Subnet: '10.98.0.0/24' }] } }],
    ];
    for (const [what, body] of asked)
      t.match(await call(socket, 'POST', '/networks/create', { Name: 'odd', ...body }), { status: 400, body: what });
    t.match(await call(socket, 'GET', '/networks/odd'), { status: 404 });
  });

  await t.test('inspect shows what was asked, and of what was not what Docker shows to a client of that version', async (t) => {
    const { Id: image } = (await json('/images/busybox/json')) as { Id: string };
    const asked: readonly (readonly [version: string, body: object, shown: object])[] = [
      ['1.47', { HostConfig: { CpuCount: 2, CpuPercent: 30 } }, { HostConfig: { CpuCount: 2, CpuPercent: 30 } }],
      ['1.47', {}, { HostConfig: { CpuCount: 0, IOMaximumIOps: 0, Dns: null, DnsOptions: null, DnsSearch: null } }],
      ['1.47', { HostConfig: { Dns: [] } }, { HostConfig: { Dns: [], IpcMode: 'private' } }],
      ['1.39', {}, { HostConfig: { IpcMode: 'shareable' } }],
      ['1.39', { HostConfig: { IpcMode: 'private' } }, { HostConfig: { IpcMode: 'private' } }],
      ['1.47', { HostConfig: { VolumeDriver: 'foreign' } }, { HostConfig: { VolumeDriver: 'foreign' } }],
      [
        '1.47',
        { Healthcheck: { Test: ['true'] } },
        { Config: { Healthcheck: { Test: ['true'] } }, State: { Health: undefined } },
      ],
    ];
    for (const [version, body, shown] of asked) {
      const made = await mustCall(socket, 'POST', `/v${version}/containers/create?name=shown`, { Image: image, ...body });
      t.match(await json(`/v${version}/containers/shown/json`), shown, `${version} ${JSON.stringify(body)}`);
      t.match(JSON.parse(made.body), { Warnings: 'Healthcheck' in body ? [/^Unknown healthcheck type 'true'/] : [] });
      await must('rm', 'shown');
    }
  });

  await t.test('a volume of a driver that is not there is not found, nor a container made with it', async (t) => {
    const body = /error looking up volume plugin foreign: plugin .*foreign.* not found/;
    t.match(await call(socket, 'POST', '/volumes/create', { Name: 'vol', Driver: 'foreign' }), { status: 404, body });
    const missing = { status: 400, body };
    for (const HostConfig of [
      { VolumeDriver: 'foreign', Binds: ['vol:/v'] },
      { Mounts: [{ Type: 'volume', Target: '/v', VolumeOptions: { DriverConfig: { Name: 'foreign' } } }] },
    ])
      t.match(await call(socket, 'POST', '/containers/create', { Image: 'busybox', HostConfig }), missing);
    const anonymous = { Image: 'busybox', Volumes: { '/v': {} }, HostConfig: { VolumeDriver: 'foreign' } };
    t.match(await call(socket, 'POST', '/containers/create', anonymous), missing);
    await mustCall(socket, 'POST', '/containers/create?name=bound', {
      Image: 'busybox',
      HostConfig: { VolumeDriver: 'foreign', Binds: ['/:/host'] },
    });
    await must('rm', 'bound');
  });

  await t.test('a network may be called anything, keeps what was asked of its addresses, and gives its own back', async (t) => {
    const Name = '_under score';
    t.match(await call(socket, 'POST', '/networks/create', { Name: ' ' }), { status: 400, body: /invalid name: / });
    await mustCall(socket, 'POST', '/networks/create', { Name, IPAM: { Driver: 'default', Options: { mine: 'yes' } } });
    const network = encodeURIComponent(Name);
    t.match(await json(`/networks/${network}`), { Name, IPAM: { Options: { mine: 'yes' } } });
    t.match(await json('/networks/bridge'), { IPAM: { Options: null } });
    const MacAddress = '02:42:ac:11:00:99';
    const Links = ['other:store'];
    const body = { Image: 'busybox', Cmd: ['sleep', '600'], MacAddress, HostConfig: { NetworkMode: Name } };
    await mustCall(socket, 'POST', '/containers/create?name=named', body);
    await mustCall(socket, 'POST', '/containers/named/start');
    const shown = async (version: string): Promise<unknown> => {
      const { NetworkSettings: settings, Config: config } = (await json(`/v${version}/containers/named/json`)) as {
        NetworkSettings: { Networks: Record<string, unknown> };
        Config: { Hostname: string };
      };
      return { ...(settings.Networks[Name] as object), short: config.Hostname };
    };
    const { short } = (await shown('1.44')) as { short: string };
    t.match(await shown('1.44'), { MacAddress, Aliases: [short], DNSNames: ['named', short] });
    t.match(await shown('1.45'), { MacAddress, Aliases: null, DNSNames: ['named', short] });
    await mustCall(socket, 'POST', `/networks/${network}/disconnect`, { Container: 'named' });
    await mustCall(socket, 'POST', `/networks/${network}/connect`, {
      Container: 'named',
      EndpointConfig: { Aliases: ['db'], Links },
    });
    t.match(await shown('1.44'), { MacAddress, Links, Aliases: ['db', short], DNSNames: ['named', 'db', short] });
    await must('rm', '-f', 'named');
    await must('network', 'rm', Name);
  });

  await t.test('containers get the addresses of a range that are not reserved', async (t) => {
    const flags = [
      '--subnet',
      '10.99.0.0/24',
      '--ip-range',
      '10.99.0.8/30',
      '--gateway',
      '10.99.0.11',
      '--aux-address',
      'a=10.99.0.9',
    ];
    for (const client of ['lamina', 'docker']) {
      await rig.must(client, 'network', 'create', ...flags, 'narrow');
      t.match(await json('/networks/narrow'), {
        IPAM: {
          Config: [
            { Subnet: '10.99.0.0/24', IPRange: '10.99.0.8/30', Gateway: '10.99.0.11', AuxiliaryAddresses: { a: '10.99.0.9' } },
          ],
        },
      });
      const on = ['run', '-d', '--network', 'narrow'];
      const one = (...more: string[]): Promise<string> => rig.must(client, ...on, ...more, 'busybox', 'sleep', '100');
      const ids = [await one(), await one(), await one('--ip', '10.99.0.77')];
      const addresses = await must('inspect', '-f', '{{(index .NetworkSettings.Networks "narrow").IPAddress}}', ...ids);
      t.same(addresses.split('\n').sort(), ['10.99.0.10', '10.99.0.77', '10.99.0.8']);
      t.match(await must('exec', ids[0] ?? '', 'ip', 'route'), /default via 10\.99\.0\.11 .*\n10\.99\.0\.0\/24 dev/);
      const none = await rig.run(client, ...on, '--name', 'none', 'busybox', 'true');
      t.match(none, { code: 125, stderr: /no IP addresses available in range set/ });
      await must('rm', '-f', 'none', ...ids);
      await must('network', 'rm', 'narrow');
    }
  });

  await t.test('a paused container lends its namespaces, one that has ended does not', async (t) => {
    await must(...run, '--name', 'lender', '--ipc', 'shareable', 'busybox', 'sleep', '1000');
    const pid = await must('inspect', '-f', '{{.State.Pid}}', 'lender');
    const namespaces = ['net', 'ipc', 'pid'].map((each) => readlinkSync(`/proc/${pid}/ns/${each}`)).join('\n');
    const borrow = ['run', '--rm', '--network', 'container:lender', '--ipc', 'container:lender', '--pid', 'container:lender'];
    const look = [...borrow, 'busybox', 'sh', '-c', 'for n in net ipc pid; do readlink /proc/self/ns/$n; done'];
    await must('pause', 'lender');
    t.equal(await must(...look), namespaces);
    await must('unpause', 'lender');
    await must('kill', 'lender');
    t.match(await rig.run('lamina', ...look), { code: 125, stderr: /cannot join \w+ of a non running container/ });
  });

  await t.test('who lends its namespaces may be called otherwise later', async (t) => {
    const lender = await must(...run, '--name', 'lends', '--ipc', 'shareable', '-h', 'lending', 'busybox', 'sleep', '1000');
    const modes = ['network', 'ipc', 'pid'].flatMap((kind) => [`--${kind}`, 'container:lends']);
    const words = ['busybox', 'sh', '-c', 'hostname; cat /etc/hostname'];
    await must('create', '--name', 'borrows', ...modes, ...words);
    const shown = '{{.HostConfig.NetworkMode}} {{.HostConfig.IpcMode}} {{.HostConfig.PidMode}}';
    t.equal(await must('inspect', '-f', shown, 'borrows'), Array(3).fill(`container:${lender}`).join(' '));
    await must('rename', 'lends', 'renamed');
    t.equal(await must('start', '-a', 'borrows'), 'lending\nlending');
    await must('rm', '-f', 'borrows', 'renamed');
    await must('create', '--name', 'borrows', ...modes, ...words);
    t.equal(await must('inspect', '-f', shown, 'borrows'), Array(3).fill('container:lends').join(' '));
    t.match(await rig.run('lamina', 'start', 'borrows'), { code: 1, stderr: /No such container: lends/ });
    await must('rm', 'borrows');
  });

  await t.test('a prune of networks heeds all of its filters', async (t) => {
    await must('network', 'create', '--label', 'keep', 'kept');
    await must('network', 'create', 'going');
    const prune = (filters: object): Promise<{ body: string }> =>
      mustCall(socket, 'POST', `/networks/prune?filters=${encodeURIComponent(JSON.stringify(filters))}`);
    t.match(await prune({ until: ['1h'] }), { body: '{"NetworksDeleted":[]}\n' });
    t.match(await prune({ 'label!': ['keep'] }), { body: '{"NetworksDeleted":["going"]}\n' });
    t.match(await prune({}), { body: '{"NetworksDeleted":["kept"]}\n' });
  });

  await t.test('a commit changes the config as a build would', async (t) => {
    await must('create', '--name', 'plain', '-w', '/srv', 'busybox', 'true');
    const lines = [
      'ENV A=1',
      'LABEL x=$A',
      'HEALTHCHECK --interval=5s CMD true',
      'WORKDIR a/../b',
      'EXPOSE 80-81',
      'ENTRYPOINT ["e"]',
    ];
    await must('commit', ...lines.flatMap((line) => ['-c', line]), 'plain', 'changed');
    t.match(await json('/images/changed/json'), {
      Config: {
        Labels: { x: '1' },
        Healthcheck: { Test: ['CMD-SHELL', 'true'], Interval: 5e9 },
        WorkingDir: '/srv/b',
        ExposedPorts: { '80/tcp': {}, '81/tcp': {} },
        Entrypoint: ['e'],
        Cmd: null,
      },
    });
    const refused = await rig.run('lamina', 'commit', '-c', 'RUN true', 'plain', 'none');
    t.match(refused, { code: 1, stderr: /RUN is not a valid change command/ });
    t.match(await rig.run('lamina', 'commit', '-c', 'STOPSIGNAL BOGUS', 'plain', 'none'), {
      code: 1,
      stderr: /invalid signal: BOGUS/,
    });
  });

  await t.test('events until a time that no timer reaches go on', async (t) => {
    const state = { text: '', ended: false };
    const asked = request({ socketPath: socket, path: '/events?until=4000000000', agent: false }, (response) => {
      response.on('data', (chunk: Buffer) => (state.text += chunk.toString())).on('end', () => (state.ended = true));
      void mustCall(socket, 'POST', '/volumes/create', { Name: 'told' });
    }).on('error', () => undefined);
    asked.end();
    await waitFor('the event or the end', () => state.ended || state.text.includes('"told"'));
    asked.destroy();
    t.match(state.text, /"told"/);
  });

  await t.test('stop waits for as long as it was told, however long', async (t) => {
    const script = 'trap "sleep 1; exit 3" TERM; echo ready; while :; do sleep 1; done';
    await must(...run, '--name', 'obeys', 'busybox', 'sh', '-c', script);
    await waitFor('the trap', async () => (await must('logs', 'obeys')) === 'ready');
    await must('stop', '-t', '3000000', 'obeys');
    t.equal(await must('inspect', '-f', '{{.State.ExitCode}}', 'obeys'), '3');
  });

  await t.test('options that cannot be are refused when the container is made', async (t) => {
    const create = (HostConfig: object): Promise<unknown> =>
      call(socket, 'POST', '/containers/create?name=none', { Image: 'busybox', HostConfig });
    t.match(await create({ StorageOpt: { 'lamina.bypass': 'bogus' } }), {
      status: 400,
      body: /invalid storage option lamina.bypass=bogus: one of auto, bind, passthrough, relay/,
    });
    const log = { Type: 'json-file', Config: { 'labels-regex': '[' } };
    t.match(await create({ LogConfig: log }), { status: 400, body: /invalid log opt labels-regex/ });
    t.match(await call(socket, 'GET', '/containers/none/json'), { status: 404 });
  });

  await t.test('a container that is paused still has its ports', async (t) => {
    await must('run', '-d', '--name', 'port', '-p', '127.0.0.1::80', 'busybox', 'sleep', '100');
    const port = await must('port', 'port');
    await must('pause', 'port');
    t.match(port, /^80\/tcp -> 127.0.0.1:\d+$/);
    t.equal(await must('port', 'port'), port);
    await must('rm', '-f', 'port');
  });

  await t.test('export leaves out what only routes show, not what is behind a bind', async (t) => {
    await must('create', '--name', 'bound', '--bypass', 'bind', '-v', 'own:/bin', 'busybox');
    t.match((await rig.sh('lamina export bound | tar -t')).stdout, /^bin\/sh$/m);
  });
});
