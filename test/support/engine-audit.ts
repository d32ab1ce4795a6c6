// Compares what an engine's records say with what there is: the data root, mounts, cgroups, namespaces, interfaces, rules,
// run files and processes. Reads `level` itself, so that nothing is tidied by the looking. Each complaint is a line.

import { cpSync, existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Level } from 'level';
import type { ContainerRecord } from '../../src/store/index.js';
import { readOverflow } from '../../src/store/overflow.js';
import { command, mountTable } from './command.js';
import type { EngineRig } from './engine-rig.js';
import { scratchDir } from './paths.js';
import { patient } from './patience.js';

interface Records {
  readonly image: readonly { id: string; layers: readonly { key: string }[] }[];
  readonly reference: readonly { name: string; id: string }[];
  readonly layer: readonly { key: string; images: number }[];
  readonly volume: readonly { name: string; path: string; options?: object }[];
  readonly container: readonly ContainerRecord[];
  readonly journal: readonly { id: string; op: string }[];
}

const SETTLING_MS = patient(6000);
const CGROUPS = '/sys/fs/cgroup';

function listing(path: string): string[] {
  return existsSync(path) ? readdirSync(path).sort() : [];
}

const TABLES = ['image', 'reference', 'layer', 'volume', 'container', 'journal'];

/** The records, from a copy of the database, which takes no room on its disk and is in nobody's way. */
async function readAll(root: string): Promise<Records> {
  const db = join(root, 'db');
  const current = (): string => readFileSync(join(db, 'CURRENT'), 'latin1');
  for (const end = Date.now() + patient(10_000); ; await delay(10)) {
    const copy = scratchDir();
    const level = new Level<string, unknown>(copy, { valueEncoding: 'json', createIfMissing: false });
    try {
      const before = current();
      cpSync(db, copy, { recursive: true, filter: (path) => !/\/(LOCK|overflow)$/.test(path) });
      // Who opens it meanwhile makes other files.
      if (current() !== before) continue;
      await level.open();
      await level.batch(readOverflow(db));
      const records: Record<string, unknown[]> = {};
      for (const table of TABLES) records[table] = await level.values({ gte: `${table}!`, lt: `${table}!\u{10FFFF}` }).all();
      return records as unknown as Records;
    } catch (error) {
      if (Date.now() > end) throw error;
    } finally {
      await level.close();
      rmSync(copy, { recursive: true });
    }
  }
}

export class EngineAudit {
  /** Containers that there were at any time: what is left of one is known by its id. */
  readonly #seen = new Set<string>();
  readonly #told = new Set<string>();

  constructor(private readonly rig: EngineRig) {}

  /** Complaints that do not go away by themselves, each told once. */
  async run(): Promise<string[]> {
    for (const end = Date.now() + SETTLING_MS; ; await delay(50)) {
      const complaints = (await this.#once()).filter((each) => !this.#told.has(each));
      if (complaints.length > 0 && Date.now() < end) continue;
      for (const each of complaints) this.#told.add(each);
      return complaints;
    }
  }

  note(...ids: readonly string[]): void {
    for (const id of ids) this.#seen.add(id);
  }

  async #once(): Promise<string[]> {
    const root = this.rig.env.LAMINA_ROOT;
    const records = await readAll(root);
    this.note(...records.container.map(({ id }) => id), ...listing(join(root, 'containers')));
    const up = records.container.filter(({ state }) => state.status === 'running' || state.status === 'paused');
    return [
      ...this.#data(root, records),
      ...images(root, records),
      ...volumes(root, records),
      ...containers(records, up),
      ...this.#mounts(root, records, up),
      ...this.#runFiles(up),
      ...this.#kernel(up),
      ...(await this.#network(root, up)),
    ];
  }

  #data(root: string, { container, journal }: Records): string[] {
    const own = 'containers daemon.lock db download init layers network tmp volumes filler lost+found'.split(' ');
    return [
      ...journal.map(({ id, op }) => `journal: ${op} ${id}`),
      ...extra('data root', listing(root), own),
      ...same(
        'containers',
        listing(join(root, 'containers')),
        container.map(({ id }) => id),
      ),
      ...extra('tmp', listing(join(root, 'tmp')), []),
      ...extra('download', listing(join(root, 'download')), ['kept']),
    ];
  }

  #mounts(root: string, { volume }: Records, up: readonly ContainerRecord[]): string[] {
    const used = new Set(up.flatMap(({ mounts }) => mounts.flatMap(({ Name }) => Name ?? [])));
    const wanted = [
      ...up.map(({ id }) => join(root, 'containers', id, 'root')),
      ...up.filter(isBridged).map(({ id }) => join(root, 'network', 'netns', id)),
      ...volume.filter(({ name, options }) => options && used.has(name)).map(({ path }) => path),
    ];
    const pins = new RegExp(`/engine-[0-9a-f]+/(${up.map(({ id }) => id).join('|') || 'none'})/subpaths/\\d+$`);
    const there = mountTable()
      .map(({ point }) => point)
      .filter((point) => point.startsWith(this.rig.dir) && point !== root && !pins.test(point));
    return same('mounts', there.sort(), wanted);
  }

  #runFiles(up: readonly ContainerRecord[]): string[] {
    const run = this.rig.env.LAMINA_RUN;
    const records = listing(run).filter((name) => !/^(engine-.*|standby)$/.test(name));
    const targets = records.flatMap((name) => {
      if (!name.endsWith('.json')) return [];
      return [(JSON.parse(readFileSync(join(run, name), 'utf8')) as { target: string }).target];
    });
    const ids = up.map(({ id }) => id);
    const complaints = same(
      'records of mounts',
      targets.sort(),
      ids.map((id) => join(this.rig.env.LAMINA_ROOT, 'containers', id, 'root')),
    );
    if (records.length !== 2 * up.length) complaints.push(`run directory: ${records.join(' ')}`);
    complaints.push(...extra('copies of the database', listing(join(run, 'standby')), []));
    for (const name of listing(run).filter((each) => each.startsWith('engine-'))) {
      const engine = join(run, name);
      const own = ['runc', 'supervisor.log', 'supervisor.sock'];
      complaints.push(...extra('engine run directory', listing(engine), [...own, ...ids]));
      complaints.push(...same('runc', listing(join(engine, 'runc')), ids));
      for (const id of ids) complaints.push(...extra(`bundle ${id}`, listing(join(engine, id)), ['config.json', 'subpaths']));
    }
    return complaints;
  }

  #kernel(up: readonly ContainerRecord[]): string[] {
    const living = new Set(up.map(({ id }) => id));
    const groups = [join(CGROUPS, 'lamina'), ...listing(CGROUPS).map((name) => join(CGROUPS, name, 'lamina'))];
    const left = groups.flatMap((group) =>
      listing(group)
        .filter((id) => this.#seen.has(id) && !living.has(id))
        .map(
          (id) =>
            `cgroup ${group}/${id}: ${readFileSync(join(group, id, 'cgroup.procs'), 'latin1')
              .split('\n')
              .join(' ')}`,
        ),
    );
    const known = /start-lamina\.js\0daemon|supervisor-main\.js/;
    const processes = this.rig
      .processes()
      .map((pid) => commandLine(pid))
      .filter((line) => line !== '' && !known.test(line));
    return [...left, ...processes.map((line) => `process: ${line.replaceAll('\0', ' ')}`)];
  }

  async #network(root: string, up: readonly ContainerRecord[]): Promise<string[]> {
    const directory = join(root, 'network');
    const bridged = up.filter(isBridged);
    const ids = bridged.map(({ id }) => id);
    const complaints = [
      ...extra('network', listing(directory), ['endpoints', 'ipam', 'netns', 'networks.json']),
      ...same(
        'endpoints',
        listing(join(directory, 'endpoints')),
        ids.map((id) => `${id}.json`),
      ),
      ...same('netns', listing(join(directory, 'netns')), ids),
    ];
    const file = join(directory, 'networks.json');
    if (!existsSync(file)) return complaints;
    const networks = JSON.parse(readFileSync(file, 'utf8')) as { name: string; id: string; device: string }[];
    const names = networks.filter(({ device }) => device !== '').map(({ name }) => name);
    complaints.push(...extra('ipam', listing(join(directory, 'ipam')), names));
    for (const { name, id, device } of networks.filter((each) => each.device !== '')) {
      const addresses = bridged.flatMap(({ endpoints }) => endpoints.filter((each) => each.networkId === id).map(({ ip }) => ip));
      const reserved = listing(join(directory, 'ipam', name)).filter((each) => /^[\d.]+$/.test(each));
      complaints.push(...same(`addresses of ${name}`, reserved, addresses));
      const links = (await command(['ip', '-o', 'link', 'show', 'master', device])).stdout.split('\n').filter(Boolean);
      if (links.length !== addresses.length)
        complaints.push(`${device} has ${links.length} interfaces for ${addresses.length} containers`);
    }
    const rules = (await command(['iptables-save'])).stdout.split('\n');
    for (const id of this.#seen) {
      if (ids.includes(id)) continue;
      complaints.push(...rules.filter((rule) => rule.includes(id)).map((rule) => `rule of ${id}: ${rule}`));
    }
    return complaints;
  }
}

function isBridged({ hostConfig: { NetworkMode: mode = 'bridge' } }: ContainerRecord): boolean {
  return mode !== 'none' && mode !== 'host' && !mode.startsWith('container:');
}

function containers({ container, image, volume }: Records, up: readonly ContainerRecord[]): string[] {
  const images = new Set(image.map(({ id }) => id));
  const volumeNames = new Set(volume.map(({ name }) => name));
  const complaints: string[] = [];
  for (const { id, state, endpoints, ports, mounts, image: of } of container) {
    const isUp = state.status === 'running' || state.status === 'paused';
    if (isUp && !existsSync(`/proc/${state.pid}`)) complaints.push(`${id} is ${state.status} and its process is gone`);
    if (!isUp && (state.pid !== 0 || endpoints.length > 0 || Object.keys(ports).length > 0))
      complaints.push(`${id} is ${state.status} with pid ${state.pid}, ${endpoints.length} endpoints`);
    if (of !== '' && !images.has(of)) complaints.push(`${id} has no image ${of}`);
    for (const { Name: name } of mounts)
      if (name !== undefined && !volumeNames.has(name)) complaints.push(`${id} has no volume ${name}`);
  }
  for (const { id, state } of up)
    if (!commandGroups(state.pid).includes(id)) complaints.push(`${id}: process ${state.pid} is not in its cgroup`);
  if (new Set(container.map(({ name }) => name)).size !== container.length) complaints.push('two containers have one name');
  return complaints;
}

function images(root: string, { image, reference, layer, container }: Records): string[] {
  const complaints = same(
    'layers',
    listing(join(root, 'layers')),
    layer.map(({ key }) => key),
  );
  for (const { key, images: count } of layer) {
    const users = image.filter(({ layers }) => layers.some((each) => each.key === key)).length;
    if (users !== count) complaints.push(`layer ${key} counts ${count} images and has ${users}`);
    if (!existsSync(join(root, 'layers', key, 'diff'))) complaints.push(`layer ${key} has no files`);
  }
  const keys = new Set(layer.map(({ key }) => key));
  for (const { id, layers } of image)
    for (const { key } of layers) if (!keys.has(key)) complaints.push(`image ${id} has no layer ${key}`);
  const ids = new Set(image.map(({ id }) => id));
  for (const { name, id } of reference) if (!ids.has(id)) complaints.push(`${name} names no image`);
  const used = container.map(({ layers }) => layers[0]?.split('/').at(-1) ?? '');
  return [...complaints, ...extra('init', listing(join(root, 'init')), [...ids, ...used, 'scratch'])];
}

function volumes(root: string, { volume }: Records): string[] {
  const directory = join(root, 'volumes');
  const [hidden, shown] = [true, false].map((dot) => listing(directory).filter((name) => name.startsWith('.') === dot));
  return [
    ...same(
      'volumes',
      shown ?? [],
      volume.map(({ name }) => name),
    ),
    ...(hidden ?? []).flatMap((name) => listing(join(directory, name)).map((each) => `volumes: left ${name}/${each}`)),
    ...volume.flatMap(({ name }) => same(`volume ${name}`, listing(join(directory, name)), ['_data'])),
  ];
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

function commandGroups(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'latin1');
  } catch {
    return '';
  }
}

function extra(what: string, there: readonly string[], allowed: readonly string[]): string[] {
  const known = new Set(allowed);
  return there.filter((name) => !known.has(name)).map((name) => `${what}: ${name} belongs to nothing`);
}

function same(what: string, there: readonly string[], wanted: readonly string[]): string[] {
  const found = new Set(there);
  return [
    ...extra(what, there, wanted),
    ...wanted.filter((name) => !found.has(name)).map((name) => `${what}: ${name} is missing`),
  ];
}
