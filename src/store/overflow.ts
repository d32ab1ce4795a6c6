// The overflow log: changes to the database that its disk had no room for. The room is taken while there is some and is never given
// up, so that nobody else can take it: a change is written over it. Used by `openDatabase` and `Transaction`.
//
// On disk: an epoch of 16 bytes, then records (length, digest over epoch and content, JSON) one behind the other up to the first that is
// none. A new epoch makes all of them none.

import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fdatasyncSync, fsyncSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** One change of the database, as `level` takes it. */
export type Operation = { type: 'put'; key: string; value: unknown } | { type: 'del'; key: string };

const EPOCH = 16;
const DIGEST = 16;
const HEADER = 4 + DIGEST;

/** Room for some hundred containers' records. */
export const OVERFLOW_BYTES = 512 << 10;

const pathIn = (directory: string): string => join(directory, 'overflow');

function digest(epoch: Uint8Array, content: Uint8Array): Buffer {
  return createHash('sha256').update(epoch).update(content).digest().subarray(0, DIGEST);
}

/** The log's bytes; undefined when there is none of full size. */
function load(directory: string): Buffer | undefined {
  try {
    const bytes = readFileSync(pathIn(directory));
    return bytes.length === OVERFLOW_BYTES ? bytes : undefined;
  } catch {
    return undefined;
  }
}

interface Contents {
  readonly batches: Operation[][];
  /** Where the next record goes. */
  readonly end: number;
}

function parse(bytes: Buffer): Contents {
  const epoch = bytes.subarray(0, EPOCH);
  const batches: Operation[][] = [];
  let at = EPOCH;
  while (at + HEADER <= bytes.length) {
    const end = at + HEADER + bytes.readUInt32LE(at);
    if (end > bytes.length) break;
    const content = bytes.subarray(at + HEADER, end);
    if (!digest(epoch, content).equals(bytes.subarray(at + 4, at + HEADER))) break;
    batches.push(JSON.parse(content.toString()) as Operation[]);
    at = end;
  }
  return { batches, end: at };
}

/** Writes over a part of the log; durable when it returns. */
function overwrite(directory: string, at: number, bytes: Uint8Array): void {
  const fd = openSync(pathIn(directory), 'r+');
  try {
    for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, at + done);
    fdatasyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** The changes in the log of the database at `directory`, oldest first; none when there is no log. */
export function readOverflow(directory: string): Operation[] {
  const bytes = load(directory);
  return bytes ? parse(bytes).batches.flat() : [];
}

/**
 * Writes one batch of changes behind those that are there; durable when it returns. What removes nothing may use but half of the room,
 * so that a container which restarts again and again leaves enough to remove it with. Returns whether there was room.
 */
export function appendOverflow(directory: string, batch: readonly Operation[]): boolean {
  const bytes = load(directory);
  if (!bytes) return false;
  const { end } = parse(bytes);
  const content = Buffer.from(JSON.stringify(batch));
  const room = batch.some(({ type }) => type === 'del') ? OVERFLOW_BYTES : OVERFLOW_BYTES / 2;
  if (end + HEADER + content.length > room) return false;
  const length = Buffer.alloc(4);
  length.writeUInt32LE(content.length);
  overwrite(directory, end, Buffer.concat([length, digest(bytes.subarray(0, EPOCH), content), content]));
  return true;
}

/** Forgets the changes, once the database has them. */
export function clearOverflow(directory: string): void {
  overwrite(directory, 0, randomBytes(EPOCH));
}

/** Takes the room, unless there is a log or no room. LevelDB leaves names alone that it does not know (filename.cc). */
export function takeOverflowRoom(directory: string): void {
  const path = pathIn(directory);
  if (statSync(path, { throwIfNoEntry: false })?.size === OVERFLOW_BYTES) return;
  try {
    const fd = openSync(path, 'w', 0o600);
    try {
      // Zeros take no room where the filesystem compresses.
      writeFileSync(fd, randomBytes(OVERFLOW_BYTES));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch {
    rmSync(path, { force: true });
  }
}
