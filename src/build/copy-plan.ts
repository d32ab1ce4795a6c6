// COPY and ADD with their words put in: what is copied, whence and as whose, before there is a root to copy it to.

import { BuildError } from './build-error.js';
import type { Expansion } from './config-steps.js';
import { type ContainerTree, ownerOf } from './container-tree.js';
import { type CopyRequest, findSources, inlineSource, type Source, sourcesDigest } from './copy.js';
import type { CopyInstruction } from './instructions.js';
import { isUrl } from './open-url.js';
import type { SourceTree } from './source-tree.js';

export interface CopyPlan {
  /** For the history: `file:HEX in /destination `. */
  readonly comment: string;
  request(root: ContainerTree, workingDirectory: string): Promise<CopyRequest>;
}

const bytes = (text: string): string => Buffer.from(text).toString('latin1');

function modeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[0-7]{1,5}$/.test(text)) throw new BuildError(`invalid chmod parameter: '${text}'. it should be octal string`, 400);
  return parseInt(text, 8) & 0o7777;
}

/** Fetches what a URL names, to be put at `destination`. */
export type Fetch = (url: string, destination: string, checksum: string | undefined) => Promise<Source>;

/** What --checksum asks. Errors: BuildError. */
function checksumOf(text: string | undefined, sources: readonly string[]): string | undefined {
  const refuse = (why: string): never => {
    throw new BuildError(`ADD failed: ${why}`, 400);
  };
  if (text === undefined) return undefined;
  if (sources.length > 1) refuse("checksum can't be specified for multiple sources");
  if (!sources.every(isUrl)) refuse("checksum can't be specified for non-HTTP(S) sources");
  return /^sha256:[0-9a-f]{64}$/.test(text) ? text : refuse(`invalid checksum ${JSON.stringify(text)}: it should be sha256:HEX`);
}

/** Errors: BuildError. */
export async function planCopy(
  instruction: CopyInstruction,
  /** undefined when there is no context. */
  tree: SourceTree | undefined,
  isContext: boolean,
  { word, document }: Expansion,
  fetch: Fetch,
): Promise<CopyPlan> {
  const { kind } = instruction;
  const destination = word(instruction.destination);
  const paths = instruction.sources.map((source) => word(source));
  const checksum = checksumOf(instruction.checksum === undefined ? undefined : word(instruction.checksum), paths);
  const found: Source[] = [];
  for (const path of paths) {
    if (!isUrl(path)) {
      if (!tree) throw new BuildError(`${kind} failed: missing build context`, 400);
      found.push(...(await findSources(tree, [bytes(path)], kind, isContext)));
    } else if (kind === 'ADD') found.push(await fetch(path, destination, checksum));
    else throw new BuildError("COPY failed: source can't be a URL for COPY", 400);
  }
  const written = instruction.contents.map(({ name, content, expand }) =>
    inlineSource(name, expand ? document(content) : content),
  );
  const sources: Source[] = [...found, ...written];
  if (sources.length === 0) throw new BuildError(`${kind} failed: no source files were specified`, 400);
  if (sources.length > 1 && !/(?:^|\/)\.{0,2}$/.test(destination))
    throw new BuildError(
      `When using ${kind} with more than one source file, the destination must be a directory and end with a /`,
      400,
    );
  const chown = instruction.chown === undefined ? undefined : word(instruction.chown);
  const chmod = instruction.chmod === undefined ? undefined : word(instruction.chmod);
  const mode = modeOf(chmod);
  const flags = `${chown === undefined ? '' : `--chown=${chown} `}${chmod === undefined ? '' : `--chmod=${chmod} `}`;
  return {
    comment: `${flags}${sourcesDigest(sources)} in ${destination} `,
    async request(root, workingDirectory) {
      const owner = chown === undefined ? undefined : await owned(root, kind, chown);
      const absolute = destination.startsWith('/') ? destination : `${workingDirectory.replace(/\/$/, '')}/${destination}`;
      return { kind, sources, destination: bytes(absolute), owner, mode };
    },
  };
}

async function owned(root: ContainerTree, kind: string, chown: string): ReturnType<typeof ownerOf> {
  try {
    return await ownerOf(root, chown);
  } catch (error) {
    throw new BuildError(
      `${kind} failed: unable to convert uid/gid chown string to host mapping: ${(error as Error).message}`,
      400,
    );
  }
}
