// A build from its request to its names: the context, the Dockerfile's stages one after the other, the result. What it tells is
// what Docker's classic builder tells.

import { posix } from 'node:path';
import { BuildArgs } from './build-args.js';
import { BuildError } from './build-error.js';
import { hostArchitecture } from '../native/architecture.js';
import { Cache } from './cache.js';
import type { Expansion } from './config-steps.js';
import { ContainerTree } from './container-tree.js';
import type { ContextTree } from './context-tree.js';
import { type CopyPlan, type Fetch, planCopy } from './copy-plan.js';
import { type Dockerfile, readDockerfile } from './dockerfile.js';
import type { BuildContainer, BuildHost, BuildImage } from './host.js';
import { IgnoreRules } from './ignore.js';
import type { ConfigInstruction, CopyInstruction, StepInstruction } from './instructions.js';
import { BadPattern } from './match.js';
import { LARGEST_DOCKERFILE, receiveContext } from './remote-context.js';
import { fetchSource } from './remote-file.js';
import type { BuildRequest, Emit } from './request.js';
import { expandWord } from './shell-words.js';
import { follow } from './source-tree.js';
import { type BuildContext, shortId, StageBuilder } from './stage-builder.js';
import { baseStage, copiedStage, neededStages, type Plan, planStages, type Stage } from './stages.js';

/** TARGETPLATFORM and its kin. */
function platformArgs(platform: string | undefined): Map<string, string> {
  const build = `linux/${hostArchitecture}`;
  const args = new Map<string, string>();
  for (const [prefix, value] of [['BUILD', build] as const, ['TARGET', platform ?? build] as const]) {
    const [os = '', architecture = '', variant = ''] = value.split('/');
    args
      .set(`${prefix}PLATFORM`, value)
      .set(`${prefix}OS`, os)
      .set(`${prefix}ARCH`, architecture)
      .set(`${prefix}VARIANT`, variant);
  }
  return args;
}

function ignoreRules(text: string): IgnoreRules {
  try {
    return new IgnoreRules(text);
  } catch (error) {
    if (error instanceof BadPattern) throw new BuildError(`error checking context: ${error.message}`, 400);
    throw error;
  }
}

const latin = (text: string): string => Buffer.from(text).toString('latin1');

/** `dockerfile` stands in for a `Dockerfile` that is not there. */
async function placeOfDockerfile(context: ContextTree, path: string): Promise<string> {
  if (path !== 'Dockerfile' || (await context.lookup('Dockerfile'))) return path;
  return (await context.lookup('dockerfile')) ? 'dockerfile' : path;
}

/** What the Dockerfile holds, a symlink followed inside the context. Errors: BuildError. */
async function contentOf(context: ContextTree, file: string): Promise<Buffer> {
  const found = await follow(context, latin(file));
  if (!found) throw new BuildError(`Cannot locate specified Dockerfile: ${file}`, 400);
  const content = await context.content(found.path, LARGEST_DOCKERFILE);
  if (content?.length === 0) throw new BuildError(`the Dockerfile (${file}) cannot be empty`, 400);
  if (content) return content;
  const why = found.node.type === 'directory' ? 'is a directory' : 'it is no file, or larger than 8 MiB';
  throw new BuildError(`unexpected error reading Dockerfile: read ${file}: ${why}`, 400);
}

/** Reads the Dockerfile, and takes what .dockerignore leaves out, itself and the Dockerfile included, out of the context. */
async function dockerfileOf(context: ContextTree, path: string): Promise<Dockerfile> {
  if (posix.normalize(path).startsWith('../')) throw new BuildError(`forbidden path outside the build context: ${path} ()`, 400);
  const file = await placeOfDockerfile(context, path.replace(/^(?:\.?\/)+/, ''));
  const content = await contentOf(context, file);
  const ignored = await context.content('.dockerignore', LARGEST_DOCKERFILE);
  const rules = ignoreRules(ignored?.toString('latin1') ?? '');
  for (const each of ['.dockerignore', latin(file)]) if (rules.excludes(each)) context.remove(each);
  return readDockerfile(content.toString());
}

class Build implements BuildContext {
  readonly args: BuildArgs;
  readonly cache: Cache;
  readonly escape: string;
  /** Results of stages by their index. */
  readonly #results = new Map<number, string | undefined>();
  /** Roots that COPY --from reads, by image. */
  readonly #roots = new Map<string, BuildContainer>();
  readonly #plan: Plan;
  #step = 0;
  #steps = 0;

  constructor(
    readonly host: BuildHost,
    readonly request: BuildRequest,
    readonly emit: Emit,
    readonly signal: AbortSignal,
    /** undefined when only a Dockerfile was sent. */
    private readonly context: ContextTree | undefined,
    dockerfile: Dockerfile,
  ) {
    this.args = new BuildArgs(request.buildArgs, platformArgs(request.platform));
    this.cache = new Cache(host, request.useCache);
    this.escape = dockerfile.escape;
    this.#plan = planStages(dockerfile, request.target);
  }

  /** The id of the target's image. */
  async run(): Promise<string> {
    const { globals } = this.#plan;
    for (const { args } of globals) {
      for (const { name, value } of args)
        this.args.declareGlobal(name, value === undefined ? undefined : this.#globalWord(value));
    }
    const stages = neededStages(this.#plan, (image) => this.#globalWord(image));
    const extra = this.#labels() ? 1 : 0;
    this.#steps = globals.length + stages.reduce((sum, { steps }) => sum + 1 + steps.length, 0) + extra;
    for (const { original } of globals) this.#announce(original);
    try {
      for (const stage of stages) await this.#stage(stage);
    } finally {
      for (const root of this.#roots.values()) await root.remove();
    }
    const unused = this.args.unused();
    if (unused.length > 0) this.emit({ stream: `[Warning] One or more build-args [${unused.join(' ')}] were not consumed\n` });
    const image = this.#results.get(this.#plan.target.index);
    if (image === undefined) throw new BuildError('No image was generated. Is your Dockerfile empty?', 400);
    return image;
  }

  #globalWord(text: string): string {
    return expandWord(text, (name) => this.args.global(name), { escape: this.escape });
  }

  #announce(text: string): void {
    this.emit({ stream: `Step ${++this.#step}/${this.#steps} : ${text}\n` });
  }

  /** Labels of the request, as one more step of the target. */
  #labels(): ConfigInstruction | undefined {
    const pairs = [...this.request.labels].sort(([a], [b]) => (a < b ? -1 : 1));
    // Their values are not words of a Dockerfile: what would be read as one is quoted.
    const quoted = pairs.map(([name, value]) => [quote(name), quote(value)] as const);
    return pairs.length === 0 ? undefined : { kind: 'LABEL', pairs: quoted };
  }

  async #stage(stage: Stage): Promise<void> {
    const { from } = stage;
    this.#announce(from.original);
    this.args.beginStage();
    this.cache.beginStage();
    const platform = from.platform === undefined ? this.request.platform : this.#globalWord(from.platform);
    const base = await this.#base(stage, platform);
    this.emit({ stream: ` ---> ${base ? shortId(base.id) : ''}\n` });
    const builder = new StageBuilder(this, stage.index, base, platform);
    await builder.runTriggers(base?.config.OnBuild ?? []);
    const steps: (StepInstruction & { original: string })[] = [...stage.steps];
    const labels = this.#labels();
    if (labels && stage === this.#plan.target)
      steps.push({
        ...labels,
        original: `LABEL ${[...this.request.labels].map(([k, v]) => `${JSON.stringify(k)}=${JSON.stringify(v)}`).join(' ')}`,
      });
    for (const step of steps) {
      this.#announce(step.original);
      await builder.step(step);
    }
    this.#results.set(stage.index, builder.image);
  }

  /** undefined is scratch. */
  async #base({ index, from }: Stage, platform: string | undefined): Promise<BuildImage | undefined> {
    const name = this.#globalWord(from.image);
    if (name === '') throw new BuildError(`base name (${from.image}) should not be blank`, 400);
    const stage = baseStage(this.#plan.stages, index, name);
    if (stage) {
      const id = this.#results.get(stage.index);
      return id === undefined ? undefined : this.host.image(id);
    }
    return name === 'scratch' ? undefined : this.#resolve(name, platform);
  }

  #resolve(name: string, platform: string | undefined): Promise<BuildImage> {
    const { request, signal, emit } = this;
    return this.host.resolve(name, {
      pull: request.pull,
      progress: emit,
      signal,
      ...(platform === undefined ? {} : { platform }),
    });
  }

  /** Errors: BuildError. */
  async #copiedImage(name: string): Promise<string> {
    try {
      return (await this.#resolve(name, this.request.platform)).id;
    } catch (error) {
      this.signal.throwIfAborted();
      throw new BuildError(`invalid from flag value ${name}: ${(error as Error).message}`);
    }
  }

  async copyPlan(instruction: CopyInstruction, index: number, expansion: Expansion): Promise<CopyPlan> {
    const { from } = instruction;
    const { signal, emit } = this;
    const fetch: Fetch = (url, destination, checksum) =>
      fetchSource(url, destination, { directory: this.request.directory, checksum, signal, emit });
    if (from === undefined) return planCopy(instruction, this.context, true, expansion, fetch);
    const stage = copiedStage(this.#plan.stages, index, from);
    const image = stage ? this.#results.get(stage.index) : await this.#copiedImage(from);
    if (image === undefined) throw new BuildError(`invalid from flag value ${from}: the stage has no files`, 400);
    let root = this.#roots.get(image);
    if (!root) {
      root = await this.host.createContainer({ image, config: {}, resources: this.request.resources });
      this.#roots.set(image, root);
    }
    return planCopy(instruction, new ContainerTree(root, signal), false, expansion, fetch);
  }
}

/** A text that the reader of words gives back as it is. */
const quote = (text: string): string => `'${text.replaceAll("'", `'"'"'`)}'`;

/**
 * Builds an image, names it and returns its id.
 * Errors: BuildError, those of the host, the reason of `signal`. Whatever happens, no container is left, unless asked for.
 */
export async function buildImage(host: BuildHost, request: BuildRequest, emit: Emit, signal: AbortSignal): Promise<string> {
  const received = await receiveContext(request, signal);
  const tree = Buffer.isBuffer(received) ? undefined : received;
  try {
    const said: Emit = request.quiet ? () => undefined : emit;
    const dockerfile = Buffer.isBuffer(received)
      ? readDockerfile(received.toString())
      : await dockerfileOf(received, request.dockerfile);
    const build = new Build(host, request, said, signal, tree, dockerfile);
    const id = await build.run();
    emit({ aux: { ID: id } });
    if (request.quiet) emit({ stream: `${id}\n` });
    else emit({ stream: `Successfully built ${shortId(id)}\n` });
    for (const tag of request.tags) {
      await host.tag(id, tag);
      said({ stream: `Successfully tagged ${tag}\n` });
    }
    return id;
  } finally {
    tree?.close();
  }
}
