// The layer cache of the classic builder: a step need not be done when an image exists that was made on the same parent, by
// the same words, with the same config. After the first miss of a stage nothing more is looked for.

import { hostArchitecture } from '../native/architecture.js';
import type { BuildConfig, BuildHost, BuildImage } from './host.js';

/** JSON with the keys of every object in order. */
function ordered(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}

/** Whether a field says no more than its absence would. */
function isEmpty(value: unknown): boolean {
  if (typeof value === 'object') return value === null || Object.keys(value).length === 0;
  return value === undefined || value === '' || value === false;
}

export function sameConfig(a: BuildConfig, b: BuildConfig): boolean {
  const said = (config: BuildConfig): string =>
    ordered(Object.fromEntries(Object.entries(config).filter(([, value]) => !isEmpty(value))));
  return said(a) === said(b);
}

function fitsPlatform(image: BuildImage, platform: string | undefined): boolean {
  const [os = 'linux', architecture = hostArchitecture, variant = ''] = platform?.split('/') ?? [];
  return image.os === os && image.architecture === architecture && (variant === '' || image.variant === variant);
}

export class Cache {
  #busted: boolean;

  constructor(
    private readonly host: BuildHost,
    private readonly enabled: boolean,
  ) {
    this.#busted = !enabled;
  }

  beginStage(): void {
    this.#busted = !this.enabled;
  }

  /** The id of an image that the step would make again. `platform` counts only without a parent. */
  async probe(
    parent: string | undefined,
    createdBy: string,
    config: BuildConfig,
    platform?: string,
  ): Promise<string | undefined> {
    if (this.#busted) return undefined;
    const fitting = (await this.host.children(parent)).filter(
      (image) =>
        image.createdBy === createdBy &&
        sameConfig(image.config, config) &&
        (parent !== undefined || fitsPlatform(image, platform)),
    );
    const newest = fitting.sort((a, b) => (a.created < b.created ? 1 : -1))[0];
    this.#busted = newest === undefined;
    return newest?.id;
  }
}
