// Pulls an image: resolves its name, downloads the layers that the store lacks, unpacks them while others still come, and
// publishes all at once. Called by engine/.

import { parseConfig } from '../config.js';
import type { Descriptor } from '../descriptor.js';
import { layersInStore, loadPlan } from '../load.js';
import { hostPlatform, planImage, sha256, withJson } from '../plan.js';
import type { ImagePlan, Origin, Platform } from '../plan.js';
import type { LoadEvent } from '../publication.js';
import { canonicalName, parseReference } from '../reference.js';
import type { Reference } from '../reference.js';
import type { Store } from '../../store/index.js';
import { RegistryClient } from './client.js';
import type { ClientOptions } from './client.js';
import { LayerDownloads, paced, shortId } from './layer-downloads.js';
import type { Report, TransferEvent } from './layer-downloads.js';
import { fitness, platformText, refusal, resolveManifest, shownReference } from './manifest.js';
import type { Manifest } from './manifest.js';
import { RegistryError } from './registry-error.js';

export interface PullOptions extends ClientOptions {
  /** The host's by default. */
  readonly platform?: Platform;
  /** Lines as Docker streams them. Called often; must be quick. */
  readonly progress?: (event: TransferEvent) => void;
}

export interface Pulled {
  /** Hex sha256. */
  readonly id: string;
  /** Hex sha256 of the manifest or index that the name leads to. */
  readonly digest: string;
  /** Canonical: the name with its tag, or with its digest when asked for by that. */
  readonly name: string;
  /** Whether the name stood for this image before. */
  readonly upToDate: boolean;
}

const MAX_CONFIG = 16 << 20;

class Pull {
  private readonly shown: string;
  private readonly report: Report;
  private readonly origin: Origin;
  private readonly manifestOptions: { platform: Platform; explicit: boolean };

  constructor(
    private readonly store: Store,
    private readonly reference: Reference,
    private readonly client: RegistryClient,
    options: PullOptions,
    private readonly stop: AbortController,
    private readonly signal: AbortSignal,
  ) {
    this.shown = shownReference(reference);
    this.report = options.progress ?? ((): void => undefined);
    this.origin = { label: this.shown, remedy: 'whoever pushed it must push it again' };
    this.manifestOptions = { platform: options.platform ?? hostPlatform(), explicit: options.platform !== undefined };
  }

  async run(): Promise<Pulled> {
    const { repository, tag, digest } = this.reference;
    await this.client.open();
    const manifest = await resolveManifest(this.client, this.reference, this.manifestOptions);
    const path = repository.slice(repository.indexOf('/') + 1);
    this.report({ id: digest === undefined ? (tag ?? 'latest') : `sha256:${digest}`, status: `Pulling from ${path}` });
    const config = await this.config(manifest.config);
    const byDigest = `${repository}@sha256:${manifest.digest}`;
    const name = digest === undefined ? `${repository}:${tag ?? 'latest'}` : byDigest;
    const before = await this.store.transaction((records) => records.get('reference', name));
    const id = sha256(config);
    await this.layers(manifest, config, [...new Set([name, byDigest])]);
    this.report({ status: `Digest: sha256:${manifest.digest}` });
    const upToDate = before?.id === id;
    this.report({ status: `Status: ${upToDate ? 'Image is up to date' : 'Downloaded newer image'} for ${this.shown}` });
    return { id, digest: manifest.digest, name, upToDate };
  }

  private async config(blob: Descriptor): Promise<string> {
    if (blob.size > MAX_CONFIG)
      throw new RegistryError('broken', `the config of ${this.shown} is larger than ${MAX_CONFIG >> 20} MiB`);
    const answer = await this.client.document(`blobs/sha256:${blob.digest}`, { method: 'GET' }, blob.size);
    if (answer.status !== 200)
      throw refusal(answer, this.reference, `the config of ${this.shown} is not there: blob unknown to registry`);
    const { data } = answer;
    if (sha256(data) !== blob.digest)
      throw new RegistryError(
        'broken',
        `the config of ${this.shown} has the digest sha256:${sha256(data)}, expected sha256:${blob.digest}`,
      );
    const text = data.toString('utf8');
    withJson(this.origin, 'config', text, () => this.checkPlatform(text));
    return text;
  }

  private checkPlatform(text: string): void {
    const { os, architecture, raw } = parseConfig(text);
    const variant = typeof raw['variant'] === 'string' ? raw['variant'] : undefined;
    const { platform, explicit } = this.manifestOptions;
    const actual = { os, architecture, variant };
    if (!explicit || fitness(actual, platform) > 0) return;
    throw new RegistryError(
      'not-found',
      `image with reference ${this.shown} was found but does not match the specified platform: wanted ${platformText(platform)}, actual: ${platformText(actual)}`,
    );
  }

  private async layers(manifest: Manifest, config: string, names: readonly string[]): Promise<void> {
    const downloads = new LayerDownloads(
      { client: this.client, reference: this.reference, root: this.store.root },
      this.stop,
      this.signal,
      this.report,
    );
    let isSpent = false;
    try {
      const sources = manifest.layers.map((blob) => ({
        piece: undefined,
        fetch: () => downloads.get(blob),
        label: `${this.shown}: layer ${shortId(blob.digest)}`,
      }));
      const plan = planImage(this.origin, 'config', config, sources, { names, manifest: manifest.own });
      await this.begin(plan, manifest.layers, downloads);
      const unpacking = new Unpacking(plan, manifest.layers, this.report);
      await loadPlan(this.store, plan, this.shown, { signal: this.signal, progress: (event) => unpacking.take(event) });
      unpacking.flush();
      isSpent = true;
    } catch (error) {
      // What is kept for the next try must not be what keeps it from having room.
      isSpent = ['ENOSPC', 'EDQUOT'].includes(codeOf(error));
      throw error;
    } finally {
      await downloads.close(isSpent);
    }
  }

  /** Starts the downloads of what is missing, bottom first, as it will be needed. */
  private async begin(plan: ImagePlan, blobs: readonly Descriptor[], downloads: LayerDownloads): Promise<void> {
    const present = await layersInStore(this.store, plan);
    const told = new Set<string>();
    for (const [i, blob] of blobs.entries()) {
      if (told.has(blob.digest)) continue;
      told.add(blob.digest);
      if (present.has(plan.layers[i]?.chainId ?? ''))
        this.report({ id: shortId(blob.digest), status: 'Already exists', progressDetail: {} });
      else void downloads.get(blob).catch(() => undefined);
    }
  }
}

/** The system's code for an error or what it came from. */
function codeOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException;
    if (code !== undefined) return code;
    if (/no space left on device/.test(at.message)) return 'ENOSPC';
  }
  return '';
}

/** Tells of layers that are unpacked. One is complete when the next begins. */
class Unpacking {
  private readonly blobs: ReadonlyMap<string, Descriptor>;
  private current: { readonly diffId: string; readonly take: (done: number) => void; readonly id: string } | undefined;

  constructor(
    plan: ImagePlan,
    blobs: readonly Descriptor[],
    private readonly report: Report,
  ) {
    this.blobs = new Map(plan.layers.flatMap(({ diffId }, i) => (blobs[i] ? [[diffId, blobs[i]]] : [])));
  }

  take(event: LoadEvent): void {
    if (event.kind !== 'layer') return this.flush();
    if (this.current?.diffId !== event.diffId) {
      this.flush();
      const id = shortId(this.blobs.get(event.diffId)?.digest ?? event.diffId);
      const { total } = event;
      const take = paced((current) => this.report({ id, status: 'Extracting', progressDetail: { current, total } }), total);
      this.current = { diffId: event.diffId, take, id };
    }
    this.current.take(event.done);
  }

  flush(): void {
    if (this.current) this.report({ id: this.current.id, status: 'Pull complete', progressDetail: {} });
    this.current = undefined;
  }
}

/**
 * Pulls NAME[:TAG][@DIGEST] for one platform. All or nothing; what was downloaded before an interruption is kept for the next try.
 * Errors: `InvalidReference`, `RegistryError`, `ImageError` (a layer that cannot be unpacked), the signal's reason when aborted.
 */
export async function pullImage(store: Store, text: string, options: PullOptions = {}): Promise<Pulled> {
  const given = parseReference(text);
  // A digest says all; Docker ignores the tag beside it.
  const reference = given.digest === undefined ? parseReference(canonicalName(text)) : { ...given, tag: undefined };
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const client = new RegistryClient(reference.repository, 'pull', { ...options, signal });
  try {
    return await new Pull(store, reference, client, options, stop, signal).run();
  } finally {
    client.close();
  }
}
