// The processes of a container as the host's ps(1) shows them.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { badParameter, failure } from './errors.js';
import { runc } from './runc.js';

const run = promisify(execFile);

export async function processesOf(
  bundle: string,
  id: string,
  psArgs: string,
): Promise<{ Titles: string[]; Processes: string[][] }> {
  const pids = new Set((JSON.parse(await runc(bundle, ['ps', '--format', 'json', id])) as number[]).map(String));
  const args = psArgs.split(/\s+/).filter(Boolean);
  if (args.some((arg) => /o.*=/.test(arg))) throw badParameter('ps: custom column titles are not supported');
  const { stdout } = await run('ps', args, { timeout: 10_000 }).catch((error: unknown) => {
    throw failure(`ps: ${(error as { stderr?: string }).stderr?.trim().split('\n')[0] || (error as Error).message}`);
  });
  const [head = '', ...lines] = stdout.trimEnd().split('\n');
  const Titles = head.trim().split(/\s+/);
  const column = Titles.indexOf('PID');
  if (column < 0) throw failure("Couldn't find PID field in ps output");
  const rows = lines.map((line) => {
    const words = line.trim().split(/\s+/);
    return [...words.slice(0, Titles.length - 1), words.slice(Titles.length - 1).join(' ')];
  });
  return { Titles, Processes: rows.filter((row) => pids.has(row[column] ?? '')) };
}
