// `lamina login`, `logout` and `search`: registries and what they have.

import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { findCredentials, forgetCredentials, keepCredentials, registryOf } from '../image/index.js';
import type { Arguments } from './arguments.js';
import { FILTER, FORMAT } from './common-flags.js';
import type { Command, Commands } from './command.js';
import { engine, filterQuery } from './engine.js';
import { registryHeaders } from './registry-headers.js';
import { renderRows } from './table.js';

interface Login {
  readonly username: string;
  readonly password: string;
}

/** Docker's name for a registry: what it is kept under, and what messages say. */
const serverOf = (domain: string): string => (domain === 'docker.io' ? 'https://index.docker.io/v1/' : domain);

async function fromStdin(): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of process.stdin) parts.push(Buffer.from(part as Buffer));
  return Buffer.concat(parts)
    .toString()
    .replace(/[\r\n]+$/, '');
}

/** Asks on the terminal; what is typed is shown unless it is `hidden`. */
async function ask(question: string, hidden: boolean): Promise<string> {
  const silent = new Writable({ write: (_, __, done) => done() });
  process.stdout.write(question);
  const lines = createInterface({ input: process.stdin, output: hidden ? silent : process.stdout, terminal: true });
  try {
    const typed = new AbortController();
    lines.once('close', () => typed.abort());
    return (await lines.question('', { signal: typed.signal })).trim();
  } finally {
    lines.close();
    if (hidden) process.stdout.write('\n');
  }
}

/** What the flags say, else what the user types. Errors: those that Docker has for flags that do not go together. */
async function loginOf(args: Arguments): Promise<Login> {
  const given = args.value('password');
  const username = args.value('username') ?? '';
  const isPiped = args.has('password-stdin');
  if (given !== undefined && isPiped) throw new Error('conflicting options: cannot specify both --password and --password-stdin');
  if (isPiped && username === '') throw new Error('the --password-stdin option requires --username to be set');
  if (given !== undefined) process.stderr.write('WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n');
  const password = isPiped ? await fromStdin() : (given ?? '');
  if (username !== '' && password !== '') return { username, password };
  if (!process.stdin.isTTY) throw new Error('Error: Cannot perform an interactive login from a non TTY device');
  const named = username || (await ask('Username: ', false));
  if (named === '') throw new Error('username is required');
  const typed = password || (await ask('Password: ', true));
  if (typed === '') throw new Error('password is required');
  return { username: named, password: typed };
}

async function check(domain: string, { username, password }: Login): Promise<string> {
  const body = { username, password, serveraddress: serverOf(domain) };
  const { Status: status } = await (await engine()).json<{ Status: string }>('POST', '/auth', { body });
  return `${status}\n`;
}

/** Whether what was kept still holds; says so. */
async function isKnown(domain: string): Promise<boolean> {
  const kept = await findCredentials(`${domain}/`);
  if (!kept || !('username' in kept)) return false;
  process.stderr.write(`Authenticating with existing credentials... [Username: ${kept.username}]\n`);
  try {
    process.stdout.write(await check(domain, kept));
    return true;
  } catch (error) {
    process.stderr.write(`Login did not succeed, error: ${(error as Error).message}\n`);
    return false;
  }
}

const login: Command = {
  spec: {
    command: 'lamina login',
    usage: '[OPTIONS] [SERVER]',
    summary: 'Authenticate to a registry.\nDefaults to Docker Hub if no server is specified.',
    flags: {
      password: { short: 'p', takes: 'TEXT', help: 'Password or Personal Access Token (PAT)' },
      'password-stdin': { help: 'Take the Password or Personal Access Token (PAT) from stdin' },
      username: { short: 'u', takes: 'NAME', help: 'Username' },
    },
  },
  takes: [0, 1],
  async run(args) {
    const domain = registryOf(args.rest[0] ?? '');
    const isBare = !['username', 'password', 'password-stdin'].some((name) => args.has(name));
    if (isBare && (await isKnown(domain))) return 0;
    const given = await loginOf(args);
    const status = await check(domain, given);
    const file = await keepCredentials(domain, given);
    if (file !== undefined)
      process.stderr.write(
        `\nWARNING! Your credentials are stored unencrypted in '${file}'.\nConfigure a credential helper to remove this warning.\n\n`,
      );
    process.stdout.write(status);
    return 0;
  },
};

const logout: Command = {
  spec: {
    command: 'lamina logout',
    usage: '[SERVER]',
    summary: 'Log out from a registry.\nIf no server is specified, the default is Docker Hub.',
    flags: {},
  },
  takes: [0, 1],
  async run(args) {
    const domain = registryOf(args.rest[0] ?? '');
    process.stdout.write(`Removing login credentials for ${serverOf(domain)}\n`);
    await forgetCredentials(domain);
    return 0;
  },
};

interface Found {
  readonly name: string;
  readonly description: string;
  readonly star_count: number;
  readonly is_official: boolean;
}

const LONGEST = 45;

function described(text: string, full: boolean): string {
  const line = text.replace(/[\r\n]/g, ' ');
  const letters = Array.from(line);
  return full || letters.length <= LONGEST ? line : `${letters.slice(0, LONGEST - 1).join('')}…`;
}

const search: Command = {
  spec: {
    command: 'lamina search',
    usage: '[OPTIONS] TERM',
    summary: 'Search an index, Docker Hub unless the term begins with another, for images',
    flags: {
      filter: FILTER,
      format: FORMAT,
      limit: { takes: 'INT', help: 'Max number of search results' },
      'no-trunc': { help: "Don't truncate output" },
    },
  },
  takes: [1, 1],
  async run(args) {
    const term = args.rest[0] ?? '';
    const query = { term, limit: args.value('limit'), filters: filterQuery(args, search.spec) };
    const headers = await registryHeaders(term.includes('/') ? term : `docker.io/${term}`);
    const found = await (await engine()).json<Found[]>('GET', '/images/search', { query, headers });
    const isJson = args.value('format') === 'json';
    const rows = found.map((each) => ({
      Name: each.name,
      Description: described(each.description, args.has('no-trunc')),
      StarCount: String(each.star_count),
      IsOfficial: isJson ? String(each.is_official) : each.is_official ? '[OK]' : '',
    }));
    const columns = [
      ['Name', 'NAME'],
      ['Description', 'DESCRIPTION'],
      ['StarCount', 'STARS'],
      ['IsOfficial', 'OFFICIAL'],
    ] as const;
    process.stdout.write(renderRows(args.value('format'), columns, rows));
    return 0;
  },
};

export const commands: Commands = { login, logout, search };
