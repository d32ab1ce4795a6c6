// One stage of a build: an image that grows by a step at a time. Says what it does in the words of Docker's classic builder.

import type { BuildArgs } from './build-args.js';
import { BuildError } from './build-error.js';
import type { Cache } from './cache.js';
import { applyConfig, commandLine, type Expansion, expansionOf, shellOf, workingDirectory } from './config-steps.js';
import { ContainerTree, placeOf } from './container-tree.js';
import { copyInto, newDirectories } from './copy.js';
import type { CopyPlan } from './copy-plan.js';
import { readInstructions } from './dockerfile.js';
import type { BuildConfig, BuildContainer, BuildHost, BuildImage } from './host.js';
import {
  type ArgInstruction,
  type ConfigInstruction,
  type CopyInstruction,
  parseInstruction,
  type RunInstruction,
  type StepInstruction,
} from './instructions.js';
import type { BuildRequest, Emit } from './request.js';
import { SubstitutionError } from './shell-words.js';
import { writeItems } from './tar-items.js';

/** What all stages of a build have in common. */
export interface BuildContext {
  readonly host: BuildHost;
  readonly request: BuildRequest;
  readonly args: BuildArgs;
  readonly cache: Cache;
  readonly escape: string;
  readonly emit: Emit;
  readonly signal: AbortSignal;
  /** Sources of a COPY of the stage `index`. */
  copyPlan(instruction: CopyInstruction, index: number, expansion: Expansion): Promise<CopyPlan>;
}

/** The PATH that a RUN on an image without one has. */
const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export const shortId = (id: string): string => id.replace(/^sha256:/, '').slice(0, 12);

export class StageBuilder {
  /** undefined is scratch. */
  #image: string | undefined;
  #config: BuildConfig;
  #author: string;
  #cmdSet = false;

  /** @param base undefined is scratch */
  constructor(
    private readonly build: BuildContext,
    private readonly index: number,
    base: BuildImage | undefined,
    private readonly platform: string | undefined,
  ) {
    this.#image = base?.id;
    this.#config = { ...base?.config, OnBuild: null };
    this.#author = base?.author ?? '';
    if (!this.#config.Env || this.#config.Env.length === 0) this.#config = { ...this.#config, Env: [DEFAULT_PATH] };
  }

  get image(): string | undefined {
    return this.#image;
  }

  /** Does what the base image has put off until now. */
  async runTriggers(triggers: readonly string[]): Promise<void> {
    if (triggers.length === 0) return;
    this.#say(`# Executing ${triggers.length} build trigger${triggers.length === 1 ? '' : 's'}\n`);
    for (const trigger of triggers) {
      for (const raw of readInstructions(trigger, '\\')) {
        const parsed = parseInstruction(raw, '\\');
        if (parsed.kind !== 'FROM') await this.step(parsed);
      }
    }
  }

  /** Errors: BuildError. */
  async step(instruction: StepInstruction): Promise<void> {
    this.build.signal.throwIfAborted();
    try {
      await this.#dispatch(instruction);
    } catch (error) {
      if (error instanceof SubstitutionError)
        throw new BuildError(`failed to process ${JSON.stringify(instruction.kind)}: ${error.message}`, 400);
      throw error;
    }
    this.#say(` ---> ${this.#image === undefined ? '' : shortId(this.#image)}\n`);
  }

  #dispatch(instruction: StepInstruction): Promise<void> {
    switch (instruction.kind) {
      case 'ARG':
        return this.#arg(instruction);
      case 'COPY':
      case 'ADD':
        return this.#copy(instruction);
      case 'RUN':
        return this.#run(instruction);
      case 'WORKDIR':
        return this.#workdir(instruction.text);
      default:
        return this.#configure(instruction);
    }
  }

  #say(text: string): void {
    this.build.emit({ stream: text });
  }

  #expansion(): Expansion {
    const environment = this.#config.Env ?? [];
    return expansionOf([...this.build.args.visible(environment), ...environment], this.build.escape);
  }

  /** `created_by` of a step that runs nothing. */
  #comment(text: string): string {
    return `${shellOf(this.#config).join(' ')} #(nop) ${text}`;
  }

  async #arg({ args }: ArgInstruction): Promise<void> {
    const { word } = this.#expansion();
    const shown = args.map(({ name, value }) => {
      const own = value === undefined ? undefined : word(value);
      this.build.args.declare(name, own);
      return own === undefined ? name : `${name}=${own}`;
    });
    await this.#commitConfig(this.#config, this.#comment(` ARG ${shown.join(' ')}`));
  }

  async #configure(instruction: ConfigInstruction): Promise<void> {
    const { config, comment, author } = applyConfig(this.#config, instruction, this.#expansion(), this.#cmdSet);
    if (author !== undefined) this.#author = author;
    if (instruction.kind === 'CMD') this.#cmdSet = true;
    const createdBy = this.#comment(` ${comment}`);
    await this.#commitConfig(config, createdBy);
  }

  /** Whether an image was made in the same way before; it is the stage's image then. */
  async #isCached(createdBy: string, config: BuildConfig): Promise<boolean> {
    const found = await this.build.cache.probe(this.#image, createdBy, config, this.platform);
    if (found === undefined) return false;
    this.#say(' ---> Using cache\n');
    this.#image = found;
    this.#config = config;
    return true;
  }

  async #commitConfig(config: BuildConfig, createdBy: string): Promise<void> {
    if (await this.#isCached(createdBy, config)) return;
    const request = { config, createdBy, author: this.#author };
    this.#image = await this.build.host.commitConfig(this.#image, request, this.platform);
    this.#config = config;
  }

  /** Does something to the files of the image. `change` gets a container that does not run. */
  async #changeFiles(createdBy: string, config: BuildConfig, change: (tree: ContainerTree) => Promise<void>): Promise<void> {
    if (await this.#isCached(createdBy, config)) return;
    const { host, signal, request } = this.build;
    const { image, resources } = { image: this.#image, resources: request.resources };
    const container = await host.createContainer({ image, config: {}, resources, ...this.#platformField });
    try {
      await change(new ContainerTree(container, signal));
      this.#image = await container.commit({ config, createdBy, author: this.#author });
      this.#config = config;
    } finally {
      await container.remove();
    }
  }

  get #platformField(): { platform?: string } {
    return this.platform === undefined ? {} : { platform: this.platform };
  }

  async #workdir(text: string): Promise<void> {
    const path = workingDirectory(this.#config, text, this.#expansion());
    const config = { ...this.#config, WorkingDir: path };
    await this.#changeFiles(this.#comment(` WORKDIR ${path}`), config, async (tree) => {
      const { directory, missing } = await placeOf(tree, Buffer.from(path).toString('latin1'));
      if (missing.length === 0) return;
      await tree.container.write(`/${directory}`, writeItems(newDirectories(missing, undefined)), this.build.signal);
    });
  }

  async #copy(instruction: CopyInstruction): Promise<void> {
    const plan = await this.build.copyPlan(instruction, this.index, this.#expansion());
    const createdBy = this.#comment(`${instruction.kind} ${plan.comment}`);
    await this.#changeFiles(createdBy, this.#config, async (tree) =>
      copyInto(tree, await plan.request(tree, this.#config.WorkingDir ?? '/'), this.build.signal),
    );
  }

  async #run(instruction: RunInstruction): Promise<void> {
    const environment = this.#config.Env ?? [];
    const { args, host, request } = this.build;
    const command = commandLine(instruction.command, this.#config);
    const counted = args.counted(environment);
    const createdBy = [...(counted.length > 0 ? [`|${counted.length}`, ...counted] : []), ...command].join(' ');
    if (await this.#isCached(createdBy, this.#config)) return;
    const { Healthcheck: _, ...inherited } = this.#config;
    const container = await host.createContainer({
      image: this.#image,
      config: { ...inherited, Entrypoint: null, Cmd: command, Env: [...environment, ...args.visible(environment)] },
      resources: { ...request.resources, ...(instruction.network === undefined ? {} : { networkMode: instruction.network }) },
      ...this.#platformField,
    });
    try {
      this.#say(` ---> Running in ${shortId(container.id)}\n`);
      await this.#runToEnd(container, command);
      this.#image = await container.commit({ config: this.#config, createdBy, author: this.#author });
      if (!request.keepContainers) this.#say(` ---> Removed intermediate container ${shortId(container.id)}\n`);
    } finally {
      if (!request.keepContainers) await container.remove();
    }
  }

  async #runToEnd(container: BuildContainer, command: readonly string[]): Promise<void> {
    const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
    const code = await container.run((chunk, stream) => {
      const text = decoders[stream].decode(chunk, { stream: true });
      if (text !== '') this.#say(text);
    }, this.build.signal);
    if (code !== 0) throw new BuildError(`The command '${command.join(' ')}' returned a non-zero code: ${code}`, 500, code);
  }
}
