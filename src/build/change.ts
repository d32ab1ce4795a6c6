// `--change` of commit and import: instructions of a Dockerfile that change an image's config alone. Called by engine/. Pure.

import { BuildError } from './build-error.js';
import { applyConfig, expansionOf, workingDirectory } from './config-steps.js';
import { readInstructions } from './dockerfile.js';
import type { BuildConfig } from './host.js';
import { type ConfigInstruction, parseInstruction, type WorkdirInstruction } from './instructions.js';
import { SubstitutionError } from './shell-words.js';

const ESCAPE = '\\';
const ALLOWED: readonly string[] = [
  ...['CMD', 'ENTRYPOINT', 'ENV', 'EXPOSE', 'HEALTHCHECK', 'LABEL'],
  ...['ONBUILD', 'STOPSIGNAL', 'USER', 'VOLUME', 'WORKDIR'],
];

/** The config after the instructions. Errors: BuildError. */
export function changedConfig(config: BuildConfig, changes: readonly string[]): BuildConfig {
  let changed = config;
  let cmdSet = false;
  for (const raw of readInstructions(changes.join('\n'), ESCAPE)) {
    const { keyword } = raw;
    if (!ALLOWED.includes(keyword)) throw new BuildError(`${keyword} is not a valid change command`, 400);
    const instruction = parseInstruction(raw, ESCAPE) as ConfigInstruction | WorkdirInstruction;
    const expansion = expansionOf(changed.Env ?? [], ESCAPE);
    try {
      if (instruction.kind === 'WORKDIR')
        changed = { ...changed, WorkingDir: workingDirectory(changed, instruction.text, expansion) };
      else changed = applyConfig(changed, instruction, expansion, cmdSet).config;
    } catch (error) {
      if (!(error instanceof SubstitutionError)) throw error;
      throw new BuildError(`failed to process ${JSON.stringify(keyword)}: ${error.message}`, 400);
    }
    cmdSet ||= keyword === 'CMD';
  }
  return changed;
}
