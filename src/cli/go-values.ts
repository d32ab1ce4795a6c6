// What the engine's JSON is to a template: maps, structs and nil as Docker's command line has them from its Go types, which
// JSON alone does not tell apart. Used by template.ts. Pure.

export type NilKind = 'map' | 'list' | 'pointer';

/** No value, of a kind. */
export class Nil {
  constructor(readonly kind: NilKind) {}

  get text(): string {
    return { map: 'map[]', list: '[]', pointer: '<nil>' }[this.kind];
  }
}

/** Fields that are maps, and those that are pointers. */
const MAPS = (
  'Annotations Attributes Containers Data DriverOpts ExposedPorts Labels Networks Options PortBindings Ports StorageOpt ' +
  'Sysctls Tmpfs Volumes LogConfig.Config'
).split(' ');
const POINTERS =
  'Health Healthcheck Init IPAMConfig MemorySwappiness OomKillDisable PidsLimit SizeRootFs SizeRw StopTimeout UsageData'.split(
    ' ',
  );
/** Fields that JSON has only when they are set, by the field that they are in. */
const LEFT_OUT: Readonly<Record<string, readonly string[]>> = {
  container: ['SizeRootFs', 'SizeRw'],
  State: ['Health'],
  Config: ['ExposedPorts', 'Healthcheck', 'Shell', 'StopTimeout', 'Volumes', 'Entrypoint', 'Labels', 'Cmd', 'Env'],
  HostConfig: ['Annotations', 'Init', 'Mounts', 'StorageOpt', 'Sysctls', 'Tmpfs'],
};

/** JSON leaves out a name and a driver that are empty. */
const MOUNT_POINT = { Type: '', Name: '', Source: '', Destination: '', Driver: '' };

function isMap(name: string, parent: string): boolean {
  return MAPS.includes(name) || MAPS.includes(`${parent}.${name}`);
}

function nil(name: string, parent: string): Nil {
  return new Nil(isMap(name, parent) ? 'map' : POINTERS.includes(name) ? 'pointer' : 'list');
}

/** A value of JSON as a template sees it: `Map` for maps, plain objects for structs. What JSON does not show is not enumerable. */
export function goValue(value: unknown, name = '', parent = ''): unknown {
  if (value === null || value === undefined) return nil(name, parent);
  if (typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map((each: unknown) => goValue(each, '', name));
  if (isMap(name, parent)) return new Map(entriesOf(value).map(([key, each]) => [key, goValue(each, String(key), name)]));
  return goStruct(parent === 'Mounts' && 'Destination' in value ? { ...MOUNT_POINT, ...value } : value, name);
}

function goStruct(value: object, name: string): object {
  const fields = Object.getOwnPropertyDescriptors(value) as Record<string, PropertyDescriptor>;
  for (const [key, field] of Object.entries(fields)) if ('value' in field) field.value = goValue(field.value, key, name);
  const struct = Object.defineProperties({}, fields);
  for (const key of LEFT_OUT[name === '' && 'HostConfig' in value ? 'container' : name] ?? [])
    if (!(key in struct)) Object.defineProperty(struct, key, { value: nil(key, name), enumerable: false });
  return struct;
}

/** As Go writes it. */
export function goJson(value: unknown): string {
  return JSON.stringify(value ?? null, function (this: object, key: string, each: unknown) {
    if (each === '' && (key === 'Name' || key === 'Driver') && 'Destination' in this) return undefined;
    return each instanceof Nil
      ? null
      : each instanceof Map
        ? (Object.fromEntries(each as Map<string, unknown>) as unknown)
        : each;
  });
}

/** Entries of a list, a map or an object, as `range` goes through them. */
export function entriesOf(value: object): (readonly [unknown, unknown])[] {
  if (value instanceof Nil) return [];
  if (value instanceof Map) return [...value];
  if (Array.isArray(value)) return value.map((each: unknown, i) => [i, each]);
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
}
