// /networks: listing, making and removing networks.

import { badParameter, EngineError } from '../container/errors.js';
import { isUp } from '../container/state.js';
import { NetworkError } from '../network/network-error.js';
import { type Network, PREDEFINED } from '../network/networks.js';
import type { Engine } from './engine.js';
import type { Call, Router } from './http.js';
import { type EndpointConfig, joinOf } from './endpoint-config.js';
import { parseMoment } from './moment.js';
import { pruneAlone } from './alone.js';
import { ENDPOINT, shaped } from './shape.js';

const CREATE = {
  Name: 'string',
  Driver: 'string',
  Internal: 'boolean',
  EnableIPv6: 'boolean',
  Ingress: 'boolean',
  ConfigOnly: 'boolean',
  ConfigFrom: { Network: 'string' },
  CheckDuplicate: 'boolean',
  Labels: { '*': 'string' },
  Options: { '*': 'string' },
  IPAM: {
    Driver: 'string',
    Options: { '*': 'string' },
    Config: [{ Subnet: 'string', Gateway: 'string', IPRange: 'string', AuxiliaryAddresses: { '*': 'string' } }],
  },
} as const;

interface Pool {
  readonly Subnet?: string;
  readonly Gateway?: string;
  readonly IPRange?: string;
  readonly AuxiliaryAddresses?: Readonly<Record<string, string>>;
}

interface CreateBody {
  readonly Name?: string;
  readonly Driver?: string;
  readonly Internal?: boolean;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly Options?: Readonly<Record<string, string>>;
  readonly EnableIPv6?: boolean;
  readonly Ingress?: boolean;
  readonly ConfigOnly?: boolean;
  readonly ConfigFrom?: { readonly Network?: string };
  readonly IPAM?: {
    readonly Driver?: string;
    readonly Options?: Readonly<Record<string, string>>;
    readonly Config?: readonly Pool[];
  };
}

function poolOf({ subnet, gateway, range, reserved }: Network): Pool {
  return {
    Subnet: subnet,
    ...(range === undefined ? {} : { IPRange: range }),
    Gateway: gateway,
    ...(reserved === undefined ? {} : { AuxiliaryAddresses: reserved }),
  };
}

function view(engine: Engine, network: Network): object {
  const members = engine.networks.membersOf(network).map(({ record, endpoint }) => [
    record.id,
    {
      Name: record.name,
      EndpointID: record.id,
      MacAddress: endpoint.mac,
      IPv4Address: `${endpoint.ip}/${endpoint.prefix}`,
      IPv6Address: '',
    },
  ]);
  return {
    Name: network.name,
    Id: network.id,
    Created: new Date(network.created).toISOString(),
    Scope: 'local',
    Driver: network.driver,
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: {
      Driver: 'default',
      Options: network.ipamOptions ?? null,
      Config: network.subnet === '' ? [] : [poolOf(network)],
    },
    Internal: network.internal,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: Object.fromEntries(members) as object,
    Options:
      network.name === 'bridge' ? { 'com.docker.network.bridge.name': network.device, ...network.options } : network.options,
    Labels: network.labels,
  };
}

/** Made by a user. */
const isOwn = ({ name }: Network): boolean => !PREDEFINED.includes(name);

function list(engine: Engine, call: Call): void {
  const filters = call.filters();
  filters.check(['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type']);
  const dangling = filters.boolean('dangling');
  const found = engine.networks.networks
    .list()
    .filter(
      (network) =>
        filters.any('driver', (driver) => network.driver === driver) &&
        filters.any('id', (id) => network.id.startsWith(id)) &&
        filters.any('name', (name) => network.name.includes(name)) &&
        filters.any('scope', (scope) => scope === 'local') &&
        filters.any('type', (type) => (type === 'custom') === isOwn(network)) &&
        (dangling === undefined || dangling === (isOwn(network) && engine.networks.membersOf(network).length === 0)) &&
        filters.matchLabels('label', network.labels),
    );
  call.answer(
    200,
    found.map((network) => view(engine, network)),
  );
}

/** What would have to happen and does not is refused. Errors: 400. */
function checkAsked({
  EnableIPv6,
  Ingress,
  ConfigOnly,
  ConfigFrom,
  IPAM: { Driver: driver, Config: pools = [] } = {},
}: CreateBody): void {
  const asked: Readonly<Record<string, unknown>> = {
    '--ipv6': EnableIPv6,
    '--ingress': Ingress,
    '--config-only': ConfigOnly,
    '--config-from': ConfigFrom?.Network,
    '--ipam-driver': driver && driver !== 'default',
    'more than one --subnet': pools.length > 1,
  };
  const [first] = Object.entries(asked).find(([, value]) => value) ?? [];
  if (first !== undefined) throw badParameter(`${first} is not supported: networks are bridges with one IPv4 subnet`);
}

async function create(engine: Engine, call: Call): Promise<void> {
  const body = shaped(await call.requiredJson(), CREATE, '') as CreateBody;
  if (!body.Name) throw badParameter('network name cannot be empty');
  if (PREDEFINED.includes(body.Name)) throw new EngineError(403, `operation is not permitted on predefined ${body.Name} network`);
  checkAsked(body);
  const [ipam] = body.IPAM?.Config ?? [];
  const network = engine.networks.networks.create({
    name: body.Name,
    driver: body.Driver ?? 'bridge',
    internal: body.Internal ?? false,
    labels: body.Labels ?? {},
    options: body.Options ?? {},
    ...(body.IPAM?.Options ? { ipamOptions: body.IPAM.Options } : {}),
    ...(ipam?.Subnet ? { subnet: ipam.Subnet } : {}),
    ...(ipam?.Gateway ? { gateway: ipam.Gateway } : {}),
    ...(ipam?.IPRange ? { range: ipam.IPRange } : {}),
    ...(ipam?.AuxiliaryAddresses ? { reserved: ipam.AuxiliaryAddresses } : {}),
  });
  engine.context.events.publish('network', 'create', network.id, { name: network.name, type: network.driver });
  call.answer(201, { Id: network.id, Warning: '' });
}

const CONNECT = {
  Container: 'string',
  Force: 'boolean',
  EndpointConfig: ENDPOINT,
} as const;

interface ConnectBody {
  readonly Container?: string;
  readonly EndpointConfig?: EndpointConfig;
}

/** `POST /networks/{id}/connect` and `/disconnect`. */
async function change(engine: Engine, call: Call, action: 'connect' | 'disconnect'): Promise<void> {
  const body = shaped(await call.requiredJson(), CONNECT, '') as ConnectBody;
  const { registry, events } = engine.context;
  const network = engine.networks.networks.find(call.param());
  const { id } = registry.find(body.Container ?? '');
  const isTold = await registry.exclusive(id, async () => {
    const record = registry.find(id);
    if (action === 'disconnect') await engine.networks.disconnect(record, network);
    else {
      const isMain = [network.name, network.id].includes(record.hostConfig.NetworkMode ?? '');
      const mac = isMain ? record.config.MacAddress : undefined;
      await engine.networks.connect(record, network, joinOf(network.name, body.EndpointConfig ?? {}, mac));
    }
    // One that does not run is connected when it starts.
    return action === 'disconnect' || isUp(record);
  });
  if (isTold) events.publish('network', action, network.id, { container: id, name: network.name, type: network.driver });
  call.answer(200);
}

async function remove(engine: Engine, network: Network): Promise<void> {
  const members = engine.networks
    .usersOf(network)
    .map((record) => `name:${JSON.stringify(record.name)} id:${JSON.stringify(record.id.slice(0, 12))}`);
  if (members.length > 0) {
    throw new EngineError(
      403,
      `error while removing network: network ${network.name} id ${network.id} has active endpoints (${members.join(', ')})`,
    );
  }
  await engine.networks.networks.remove(network);
  engine.context.events.publish('network', 'destroy', network.id, { name: network.name, type: network.driver });
}

async function prune(engine: Engine, call: Call): Promise<void> {
  const filters = call.filters();
  filters.check(['label', 'label!', 'until']);
  const [until] = filters.get('until');
  const limit = until === undefined ? Infinity : parseMoment(until);
  const deleted: string[] = [];
  for (const network of [...engine.networks.networks.list()]) {
    const used = engine.context.registry.list().some(({ networks }) => networks.some(({ name }) => name === network.name));
    if (!isOwn(network) || used || network.created > limit || !filters.fitLabels(network.labels)) continue;
    try {
      await remove(engine, network);
    } catch (error) {
      // Somebody has joined it or removed it meanwhile.
      if (error instanceof EngineError || (error instanceof NetworkError && error.kind === 'not found')) continue;
      throw error;
    }
    deleted.push(network.name);
  }
  engine.context.events.publish('network', 'prune', '', { reclaimed: '0' });
  call.answer(200, { NetworksDeleted: deleted });
}

export function networkRoutes(engine: Engine, router: Router): void {
  const { networks } = engine.networks;
  for (const path of ['/networks', '/networks/']) router.on('GET', path, (call) => list(engine, call));
  router.on('POST', '/networks/create', (call) => create(engine, call));
  router.on('POST', '/networks/prune', (call) => pruneAlone(engine, 'networks', () => prune(engine, call)));
  router.on('POST', '/networks/{}/connect', (call) => change(engine, call, 'connect'));
  router.on('POST', '/networks/{}/disconnect', (call) => change(engine, call, 'disconnect'));
  router.on('GET', '/networks/*', (call) => call.answer(200, view(engine, networks.find(call.param()))));
  router.on('DELETE', '/networks/*', async (call) => {
    await remove(engine, networks.find(call.param()));
    call.answer(204);
  });
}
