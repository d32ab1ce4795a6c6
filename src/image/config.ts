// The image config (OCI image-spec config.md, with Docker's additions) as far as lamina uses it, narrowed from JSON.

import { array, JsonError, object, optionalString, parseJson, sha256Digest, string, strings } from './json.js';
import type { JsonObject } from './json.js';

/** How to run the image; absent fields are undefined. */
export interface RunConfig {
  readonly User?: string;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly WorkingDir?: string;
  /** Destinations of the image's volumes. */
  readonly Volumes?: readonly string[];
  readonly ExposedPorts?: readonly string[];
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
}

export interface ImageConfig {
  readonly os: string;
  readonly architecture: string;
  /** RFC 3339, as the config has it. */
  readonly created?: string;
  readonly author?: string;
  readonly config: RunConfig;
  /** Hex sha256 of each layer's tar, bottom first. */
  readonly diffIds: readonly string[];
  /** The whole document, for those who show it. */
  readonly raw: JsonObject;
}

function optional<T>(value: unknown, what: string, narrow: (value: unknown, what: string) => T): T | undefined {
  return value === undefined || value === null ? undefined : narrow(value, what);
}

const keys = (value: unknown, what: string): string[] => Object.keys(object(value, what));

function labels(value: unknown, what: string): Record<string, string> {
  return Object.fromEntries(Object.entries(object(value, what)).map(([key, text]) => [key, string(text, what)]));
}

/** Parses a config; throws `JsonError` when a field that lamina uses has the wrong type. */
export function parseConfig(text: string): ImageConfig {
  const raw = object(parseJson(text), 'the config');
  const run = optional(raw['config'], 'config', object) ?? {};
  const rootfs = object(raw['rootfs'], 'rootfs');
  if (rootfs['type'] !== undefined && rootfs['type'] !== 'layers') throw new JsonError('rootfs.type is not "layers"');
  return {
    os: optionalString(raw['os'], 'os') ?? 'linux',
    architecture: optionalString(raw['architecture'], 'architecture') ?? '',
    created: optionalString(raw['created'], 'created'),
    author: optionalString(raw['author'], 'author'),
    config: {
      User: optionalString(run['User'], 'User'),
      Env: optional(run['Env'], 'Env', strings),
      Entrypoint: optional(run['Entrypoint'], 'Entrypoint', strings),
      Cmd: optional(run['Cmd'], 'Cmd', strings),
      WorkingDir: optionalString(run['WorkingDir'], 'WorkingDir'),
      Volumes: optional(run['Volumes'], 'Volumes', keys),
      ExposedPorts: optional(run['ExposedPorts'], 'ExposedPorts', keys),
      Labels: optional(run['Labels'], 'Labels', labels),
      StopSignal: optionalString(run['StopSignal'], 'StopSignal'),
    },
    diffIds: array(rootfs['diff_ids'] ?? [], 'rootfs.diff_ids').map((id) => sha256Digest(id, 'rootfs.diff_ids')),
    raw,
  };
}
