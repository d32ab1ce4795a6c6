// POSIX ACLs as the bytes of system.posix_acl_access and system.posix_acl_default, so that no setfacl is needed.

/** Owner, group, others and the mask, as rwx digits; `users` and `groups` are pairs of id and digit. */
export interface Acl {
  readonly owner: number;
  readonly group: number;
  readonly other: number;
  readonly mask?: number;
  readonly users?: readonly (readonly [number, number])[];
  readonly groups?: readonly (readonly [number, number])[];
}

export const ACCESS = 'system.posix_acl_access';
export const DEFAULT = 'system.posix_acl_default';
const NO_ID = 0xffffffff;
const tag = { userObj: 1, user: 2, groupObj: 4, group: 8, mask: 16, other: 32 } as const;

/** The xattr value (version 2, little endian), as a latin1 string. */
export function acl(given: Acl): string {
  const entries: (readonly [number, number, number])[] = [
    [tag.userObj, given.owner, NO_ID],
    ...(given.users ?? []).map(([id, perm]) => [tag.user, perm, id] as const),
    [tag.groupObj, given.group, NO_ID],
    ...(given.groups ?? []).map(([id, perm]) => [tag.group, perm, id] as const),
    ...(given.mask === undefined ? [] : [[tag.mask, given.mask, NO_ID] as const]),
    [tag.other, given.other, NO_ID],
  ];
  const bytes = Buffer.alloc(4 + entries.length * 8);
  bytes.writeUInt32LE(2, 0);
  entries.forEach(([kind, perm, id], i) => {
    bytes.writeUInt16LE(kind, 4 + i * 8);
    bytes.writeUInt16LE(perm, 6 + i * 8);
    bytes.writeUInt32LE(id, 8 + i * 8);
  });
  return bytes.toString('latin1');
}
