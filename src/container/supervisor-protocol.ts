// What the daemon and the supervisor say to each other: a JSON line each way on a control connection, and connections that
// begin with one JSON line and then carry the bytes of an attached client.

import type { MountRequest } from '../transport/check.js';

/** A process to run in a container: its init, or one more. */
export interface TaskRequest {
  /** The container's id for its init, else the id of the exec. */
  readonly task: string;
  /** Directory of the OCI bundle; small files of the task (its pid, its console socket) are made there. */
  readonly bundle: string;
  readonly container: string;
  /** The process of an exec (OCI runtime spec, `process`); the bundle's own when absent. */
  readonly process?: object;
  readonly tty: boolean;
  readonly stdin: boolean;
  /** stdin ends with the first attached client that had it. */
  readonly stdinOnce: boolean;
  /** Rows and columns of the terminal to begin with. */
  readonly size?: readonly [rows: number, columns: number];
  readonly log?: LogRequest;
}

export interface LogRequest {
  readonly path: string;
  /** Bytes after which a new file is begun; 0 for never. */
  readonly maxSize: number;
  /** Files kept, the current one among them. */
  readonly maxFiles: number;
}

export interface AttachRequest {
  readonly task: string;
  readonly tty: boolean;
  /** stdout and stderr come as they are also without a terminal, not in frames that tell them apart. */
  readonly raw?: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Bytes that end the attachment and are not passed on; none when empty. */
  readonly detachKeys: readonly number[];
}

export interface TaskStatus {
  readonly task: string;
  readonly container: string;
  readonly pid: number;
  /** Present when it has ended. */
  readonly exit?: TaskExit;
}

export interface TaskExit {
  readonly code: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export interface SupervisorState {
  readonly pid: number;
  readonly tasks: readonly TaskStatus[];
  /** Ids of what is mounted. */
  readonly mounts: readonly string[];
}

/** Requests and their answers. */
export interface Operations {
  list: { request: object; answer: SupervisorState };
  mount: { request: { id: string; mount: MountRequest; image: string }; answer: null };
  unmount: { request: { id: string }; answer: null };
  start: { request: TaskRequest; answer: { pid: number } };
  signal: { request: { task: string; signal: number }; answer: boolean };
  resize: { request: { task: string; rows: number; columns: number }; answer: null };
  /** The end of the task has been taken note of. */
  forget: { request: { task: string }; answer: null };
  /** Ends the supervisor when nothing runs and nothing is mounted; answers whether it does. */
  stop: { request: object; answer: boolean };
}

export type Operation = keyof Operations;

export type ControlMessage =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string }
  | { readonly event: 'exit'; readonly task: string; readonly exit: TaskExit };

/** The first line of a connection. */
export type Greeting = { readonly control: true } | { readonly attach: AttachRequest };

/** How an attached client's output is framed when there is no terminal (Docker Engine API, "Stream format"). */
export const StreamKind = { stdin: 0, stdout: 1, stderr: 2 } as const;

/** The 8 bytes before each piece of output: its kind, three zeros, its length in big endian. */
export function frame(kind: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head[0] = kind;
  head.writeUInt32BE(payload.length, 4);
  return Buffer.concat([head, payload]);
}
