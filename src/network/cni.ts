// Runs CNI plugins (Container Network Interface, SPEC.md 0.4.0): executables that read a network's configuration from stdin
// and do one step on a network namespace.

import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { NetworkError } from './network-error.js';

export const CNI_VERSION = '0.4.0';
const LIMIT_MS = 30_000;
/** Debian's place, then the upstream one. */
const DIRECTORIES: readonly string[] = ['/usr/lib/cni', '/opt/cni/bin'];

export interface CniResult {
  readonly interfaces?: readonly { readonly name: string; readonly mac?: string; readonly sandbox?: string }[];
  readonly ips?: readonly { readonly address: string; readonly gateway?: string; readonly interface?: number }[];
}

/** One step of one container. */
export interface CniCall {
  readonly command: 'ADD' | 'DEL';
  readonly container: string;
  readonly netns: string;
  readonly interface: string;
}

function pluginPaths(): readonly string[] {
  const asked = process.env['CNI_PATH'];
  return asked ? [...asked.split(':'), ...DIRECTORIES] : DIRECTORIES;
}

function findPlugin(name: string): string {
  for (const directory of pluginPaths()) {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return join(directory, name);
    } catch {
      // Looked for in the next one.
    }
  }
  throw new NetworkError(
    'failed',
    `the CNI plugin ${name} is not in ${pluginPaths().join(' or ')}: install the package containernetworking-plugins, or use --network none`,
  );
}

function failureOf(name: string, output: string, code: number | null): NetworkError {
  try {
    const { msg, details } = JSON.parse(output) as { msg?: string; details?: string };
    if (msg) return new NetworkError('failed', `${name}: ${msg}${details ? `: ${details}` : ''}`);
  } catch {
    // Not the JSON that a plugin owes us.
  }
  return new NetworkError('failed', `${name}: ${output.trim() || `ended with exit code ${String(code)}`}`);
}

/** Runs a plugin. Errors: NetworkError with the plugin's words. */
export function runPlugin(configuration: { readonly type: string }, call: CniCall): Promise<CniResult> {
  const { type } = configuration;
  const plugin = findPlugin(type);
  return new Promise((resolve, reject) => {
    const child = spawn(plugin, [], {
      env: {
        ...process.env,
        CNI_COMMAND: call.command,
        CNI_CONTAINERID: call.container,
        CNI_NETNS: call.netns,
        CNI_IFNAME: call.interface,
        CNI_PATH: pluginPaths().join(':'),
      },
      timeout: LIMIT_MS,
      killSignal: 'SIGKILL',
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let output = '';
    let complaint = '';
    child.stdout.on('data', (data: Buffer) => (output += data.toString()));
    child.stderr.on('data', (data: Buffer) => (complaint += data.toString()));
    child.on('error', (error) => reject(new NetworkError('failed', `${type}: ${error.message}`)));
    child.on('close', (code) => {
      if (code !== 0) return reject(failureOf(type, output || complaint, code));
      resolve(output.trim() === '' ? {} : (JSON.parse(output) as CniResult));
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(JSON.stringify({ cniVersion: CNI_VERSION, ...configuration }));
  });
}
