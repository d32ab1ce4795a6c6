// What a restart policy says about a container that has ended. Called by lifecycle.ts.

import type { ContainerRecord } from '../store/index.js';
import type { TaskExit } from './supervisor-protocol.js';

/** Whether a restart policy starts a container again that has ended so. */
export function startsAgain({ hostConfig, stopped, restartCount }: ContainerRecord, { code }: TaskExit): boolean {
  const { Name: policy = '', MaximumRetryCount: most = 0 } = hostConfig.RestartPolicy ?? {};
  if (stopped || hostConfig.AutoRemove) return false;
  return policy === 'on-failure'
    ? code !== 0 && (most === 0 || restartCount < most)
    : ['always', 'unless-stopped'].includes(policy);
}
