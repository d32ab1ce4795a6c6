// Asks before something is removed.

import { createInterface } from 'node:readline/promises';

/** Whether the user says yes. */
export async function confirm(warning: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await Promise.race([
      lines.question(`${warning}\nAre you sure you want to continue? [y/N] `),
      new Promise<string>((resolve) => lines.once('close', () => resolve(''))),
    ]);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}
