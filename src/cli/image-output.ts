// How images are shown: Docker's table, `--format` templates, sizes and ages, and the JSON of `inspect`.
// Called by image.ts.

import { familiarName, splitTag } from '../image/index.js';
import type { Image } from '../image/index.js';

/** One row of `image ls`: an image has one for each of its names. */
export type Row = Readonly<Record<'Repository' | 'Tag' | 'ID' | 'CreatedAt' | 'CreatedSince' | 'Size' | 'Digest', string>>;

/** Decimal units and three digits, as Docker prints sizes: 4.26MB. */
export function humanSize(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(3))}${units[unit] ?? ''}`;
}

const STEPS: readonly (readonly [limit: number, seconds: number, unit: string])[] = [
  [120, 60, 'minute'],
  [3600, 60, 'minute'],
  [48 * 3600, 3600, 'hour'],
  [14 * 86400, 86400, 'day'],
  [61 * 86400, 7 * 86400, 'week'],
  [730 * 86400, 30 * 86400, 'month'],
  [Infinity, 365 * 86400, 'year'],
];

/** "3 weeks ago", with Docker's thresholds. */
export function age(created: string | undefined, now = Date.now()): string {
  const time = Date.parse(created ?? '');
  if (Number.isNaN(time)) return 'N/A';
  const seconds = Math.max(0, Math.floor((now - time) / 1000));
  if (seconds < 1) return 'Less than a second ago';
  if (seconds < 60) return seconds === 1 ? '1 second ago' : `${seconds} seconds ago`;
  for (const [limit, each, unit] of STEPS) {
    if (seconds >= limit) continue;
    const count = Math.floor(seconds / each);
    if (count === 1 && unit === 'minute') return 'About a minute ago';
    if (count === 1 && unit === 'hour') return 'About an hour ago';
    return `${count} ${unit}${count === 1 ? '' : 's'} ago`;
  }
  return 'N/A';
}

export function rowsOf(image: Image, truncate: boolean): Row[] {
  const id = truncate ? image.id.slice(0, 12) : `sha256:${image.id}`;
  const digest = image.record.manifest === undefined ? '<none>' : `sha256:${image.record.manifest}`;
  const shared = {
    ID: id,
    CreatedAt: image.config.created ?? '',
    CreatedSince: age(image.config.created),
    Size: humanSize(image.size),
    Digest: digest,
  };
  if (image.references.length === 0) return [{ ...shared, Repository: '<none>', Tag: '<none>' }];
  return image.references.map((name) => {
    const { repository, tag } = splitTag(name);
    return { ...shared, Repository: familiarName(repository), Tag: tag };
  });
}

/** Columns padded to their widest cell and three spaces apart. */
export function table(lines: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const line of lines) line.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  return lines
    .map((line) => `${line.map((cell, i) => (i === line.length - 1 ? cell : cell.padEnd((widths[i] ?? 0) + 3))).join('')}\n`)
    .join('');
}

export const COLUMNS: readonly (readonly [keyof Row, string])[] = [
  ['Repository', 'REPOSITORY'],
  ['Tag', 'TAG'],
  ['ID', 'IMAGE ID'],
  ['CreatedSince', 'CREATED'],
  ['Size', 'SIZE'],
];

/** A template that cannot be filled in. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
}

function lookUp(value: unknown, path: string): unknown {
  let at = value;
  for (const key of path.split('.').filter((part) => part !== '')) {
    if (typeof at !== 'object' || at === null || !Object.prototype.hasOwnProperty.call(at, key)) {
      throw new TemplateError(`template: there is no field .${path.replace(/^\./, '')}`);
    }
    at = (at as Record<string, unknown>)[key];
  }
  return at;
}

/** Fills {{.Field.Inner}} and {{json .Field}} from `value`; \t and \n are understood, as in Docker. */
export function fill(template: string, value: unknown): string {
  const text = template.replace(/\\t/g, '\t').replace(/\\n/g, '\n');
  return text.replace(/\{\{([^}]*)\}\}/g, (_, inner: string) => {
    const match = /^\s*(json\s+)?(\.[\w.]*)\s*$/.exec(inner);
    if (!match?.[2]) throw new TemplateError(`template: {{${inner}}} is not understood; use {{.Field}} or {{json .Field}}`);
    const found = lookUp(value, match[2]);
    return match[1] !== undefined || typeof found === 'object'
      ? JSON.stringify(found)
      : typeof found === 'string'
        ? found
        : JSON.stringify(found);
  });
}

/** What `docker image inspect` shows. */
export function inspection(image: Image): object {
  const { raw, diffIds } = image.config;
  const [upper, ...lower] = image.layers;
  return {
    Id: `sha256:${image.id}`,
    RepoTags: image.references.map(familiarName),
    RepoDigests: repoDigests(image),
    Parent: '',
    Comment: typeof raw['comment'] === 'string' ? raw['comment'] : '',
    Created: image.config.created ?? '',
    Author: image.config.author ?? '',
    Config: raw['config'] ?? {},
    Architecture: image.config.architecture,
    Os: image.config.os,
    Size: image.size,
    GraphDriver: { Name: 'lamina', Data: { UpperDir: upper ?? '', LowerDir: lower.join(':') } },
    RootFS: { Type: 'layers', Layers: diffIds.map((id) => `sha256:${id}`) },
    Metadata: { LastTagTime: new Date(image.record.loadedAt).toISOString() },
  };
}

function repoDigests(image: Image): string[] {
  const { manifest } = image.record;
  if (manifest === undefined) return [];
  return [...new Set(image.references.map((name) => `${familiarName(splitTag(name).repository)}@sha256:${manifest}`))];
}
