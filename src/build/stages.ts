// A parsed Dockerfile as stages: which of them the target needs, and how many steps that makes. Pure.

import { BuildError, parseError } from './build-error.js';
import type { Dockerfile } from './dockerfile.js';
import {
  type ArgInstruction,
  type FromInstruction,
  type Parsed,
  parseInstruction,
  type StepInstruction,
} from './instructions.js';

type Located<T> = T & { readonly line: number; readonly original: string };

export interface Stage {
  readonly index: number;
  readonly from: Located<FromInstruction>;
  readonly steps: readonly Located<StepInstruction>[];
}

export interface Plan {
  /** ARG before the first FROM. */
  readonly globals: readonly Located<ArgInstruction>[];
  readonly stages: readonly Stage[];
  readonly target: Stage;
}

const isStep = (parsed: Parsed): parsed is Located<StepInstruction> => parsed.kind !== 'FROM';

/** Groups instructions, and finds the target: the last stage when none is named. Errors: BuildError. */
export function planStages({ escape, instructions }: Dockerfile, target: string): Plan {
  const globals: Located<ArgInstruction>[] = [];
  const stages: { index: number; from: Located<FromInstruction>; steps: Located<StepInstruction>[] }[] = [];
  for (const raw of instructions) {
    const parsed = parseInstruction(raw, escape);
    const stage = stages.at(-1);
    if (!isStep(parsed)) stages.push({ index: stages.length, from: parsed, steps: [] });
    else if (stage) stage.steps.push(parsed);
    else if (parsed.kind === 'ARG') globals.push(parsed);
    else throw parseError(parsed.line, 'no build stage in current context');
  }
  const chosen = target === '' ? stages.at(-1) : stageNamed(stages, target);
  if (chosen) return { globals, stages, target: chosen };
  if (target !== '') throw new BuildError(`failed to reach build target ${target} in Dockerfile`, 400);
  throw new BuildError('no build stage in current context', 400);
}

/** By name, in any case, or by its number. Of two with one name the later. */
function stageNamed(stages: readonly Stage[], name: string): Stage | undefined {
  return (
    stages.findLast(({ from }) => from.name === name.toLowerCase()) ?? (/^\d+$/.test(name) ? stages[Number(name)] : undefined)
  );
}

/** The stage that `FROM image` of the stage `index` means; undefined for an image. */
export function baseStage(stages: readonly Stage[], index: number, image: string): Stage | undefined {
  return stages.slice(0, index).findLast(({ from }) => from.name === image.toLowerCase());
}

/** The stage that `COPY --from` in the stage `index` means; undefined for an image. Errors: BuildError. */
export function copiedStage(stages: readonly Stage[], index: number, from: string): Stage | undefined {
  if (stages[index]?.from.name === from.toLowerCase() || from === String(index))
    throw new BuildError(`invalid from flag value ${from}: refers to current build block`, 400);
  const found = stageNamed(stages.slice(0, index), from);
  if (!found && /^\d+$/.test(from)) throw new BuildError(`invalid from flag value ${from}: index out of bounds`, 400);
  return found;
}

/** The stages that the target is made of, in their order. `expand` puts global arguments into the names of FROM. */
export function neededStages({ stages, target }: Plan, expand: (image: string) => string): Stage[] {
  const needed = new Set<Stage>();
  const add = (stage: Stage | undefined): void => {
    if (!stage || needed.has(stage)) return;
    needed.add(stage);
    add(baseStage(stages, stage.index, expand(stage.from.image)));
    for (const step of stage.steps) {
      if (step.kind === 'COPY' && step.from !== undefined) add(copiedStage(stages, stage.index, step.from));
    }
  };
  add(target);
  return stages.filter((stage) => needed.has(stage));
}
