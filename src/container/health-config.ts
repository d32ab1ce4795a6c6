// HEALTHCHECK and `--health-*`: what a container's health check is. The checking itself is health.ts.

import type { Image } from '../image/index.js';
import type { HealthConfig } from '../store/index.js';
import { badParameter } from './errors.js';

const MILLISECOND = 1e6;

function imageHealth(image: Image): HealthConfig | undefined {
  const config = image.config.raw['config'] as { readonly Healthcheck?: HealthConfig } | undefined;
  return config?.Healthcheck ?? undefined;
}

/** What was asked over what the image says, field by field, as Docker does. */
export function mergeHealth(asked: HealthConfig | null | undefined, image: Image): HealthConfig | undefined {
  const own = imageHealth(image);
  if (!asked) return own;
  if (!own) return asked;
  return {
    Test: asked.Test && asked.Test.length > 0 ? asked.Test : (own.Test ?? []),
    Interval: asked.Interval || (own.Interval ?? 0),
    Timeout: asked.Timeout || (own.Timeout ?? 0),
    StartPeriod: asked.StartPeriod || (own.StartPeriod ?? 0),
    StartInterval: asked.StartInterval || (own.StartInterval ?? 0),
    Retries: asked.Retries || (own.Retries ?? 0),
  };
}

/** Errors: 400, Docker's words. */
export function checkHealth(config: HealthConfig | null | undefined): void {
  if (!config) return;
  const times = [
    ['Interval', config.Interval],
    ['Timeout', config.Timeout],
    ['StartPeriod', config.StartPeriod],
    ['StartInterval', config.StartInterval],
  ] as const;
  for (const [name, value = 0] of times) {
    if (value !== 0 && value < MILLISECOND) throw badParameter(`${name} in Healthcheck cannot be less than 1ms`);
  }
  if ((config.Retries ?? 0) < 0) throw badParameter('Retries in Healthcheck cannot be negative');
  const [kind = '', ...words] = config.Test ?? [];
  if (['CMD', 'CMD-SHELL'].includes(kind) && words.length === 0) throw badParameter(`Healthcheck ${kind} without a command`);
}

/** A check of a kind that there is not is never run, which Docker says in its log alone. */
export function healthWarnings(config: HealthConfig | null | undefined): string[] {
  const [kind] = config?.Test ?? [];
  if (kind === undefined || ['NONE', 'CMD', 'CMD-SHELL'].includes(kind)) return [];
  return [`Unknown healthcheck type '${kind}' (expected 'CMD', 'CMD-SHELL' or 'NONE'): the check is not run`];
}

/** Program and arguments of a check; undefined when there is none. */
export function healthCommand(config: HealthConfig | null | undefined, shell: readonly string[]): readonly string[] | undefined {
  const [kind, ...words] = config?.Test ?? [];
  if (kind === 'CMD') return words;
  return kind === 'CMD-SHELL' ? [...shell, ...words] : undefined;
}
