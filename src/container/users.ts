// Who runs in a container: `USER[:GROUP]` by name or number, looked up in the root's own /etc/passwd and /etc/group, read
// from the layers, so that neither a mount nor a path of the host is touched.

import { mergedFiles } from '../volume/merged-source.js';
import type { XattrScheme } from '../layer/format.js';

export interface ContainerUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly home: string;
}

/** No such user or group; runc's words, which Docker passes on. */
export class UnknownUser extends Error {
  override readonly name = 'UnknownUser';
}

const LARGEST_ID = 2 ** 31 - 1;

function rows(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));
}

function numeric(text: string): number | undefined {
  if (!/^-?\d+$/.test(text)) return undefined;
  const id = Number(text);
  if (id < 0 || id > LARGEST_ID) throw new UnknownUser(`uids and gids must be in range 0-${LARGEST_ID}`);
  return id;
}

export class UserDatabase {
  readonly #passwd: string[][];
  readonly #group: string[][];

  constructor(passwd: string, group: string) {
    this.#passwd = rows(passwd);
    this.#group = rows(group);
  }

  /** Resolves a `User` of a config; '' is root. Errors: UnknownUser. */
  find(user: string, groupAdd: readonly string[] = []): ContainerUser {
    const [name = '', group] = user.split(':');
    const id = name === '' ? 0 : numeric(name);
    const row = this.#passwd.find((each) => (id === undefined ? each[0] === name : Number(each[2]) === id));
    if (!row && id === undefined) throw new UnknownUser(`unable to find user ${name}: no matching entries in passwd file`);
    const gid = group !== undefined && group !== '' ? this.group(group) : Number(row?.[3] ?? 0);
    const member = row?.[0];
    const own =
      member === undefined || (group !== undefined && group !== '')
        ? []
        : this.#group.filter((each) => (each[3] ?? '').split(',').includes(member)).map((each) => Number(each[2]));
    const added = groupAdd.map((each) => this.group(each));
    return {
      uid: id ?? Number(row?.[2]),
      gid,
      // The group itself is among them: a process that gives it up must not gain what its group is denied.
      additionalGids: [...new Set([gid, ...own, ...added])],
      home: row?.[5] || '/',
    };
  }

  /** A group by name or number. Errors: UnknownUser. */
  group(name: string): number {
    const id = numeric(name);
    if (id !== undefined) return id;
    const row = this.#group.find((each) => each[0] === name);
    if (!row) throw new UnknownUser(`unable to find group ${name}: no matching entries in group file`);
    return Number(row[2]);
  }
}

/** The users that the union of `layers` (topmost first) knows. */
export function userDatabase(layers: readonly string[], scheme: XattrScheme): UserDatabase {
  const [passwd = '', group = ''] = mergedFiles(layers, ['/etc/passwd', '/etc/group'], scheme);
  return new UserDatabase(passwd, group);
}
