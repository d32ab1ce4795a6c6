// The layers of one union, opened: upper with its work directory, and the lowers from the top. Made by the transport
// from checked options; owns nothing but the places it was given.

import type { NodeId, PlaceId } from '../native/mount.js';
import type { XattrScheme } from '../layer/format.js';

export interface LayerStack {
  /** Absent for a read-only union. */
  upper: PlaceId | undefined;
  /** `<workdir>/work`: where copy-up builds what one rename publishes. Same filesystem as upper. */
  work: PlaceId | undefined;
  /** `<workdir>/links`: copies of lower files that have several names. */
  links: PlaceId | undefined;
  /** Topmost first. */
  lowers: readonly PlaceId[];
  scheme: XattrScheme;
  /** Skip every fsync: a crash may lose what was written (overlayfs: volatile). */
  volatile: boolean;
}

/** Identity with which something is made. */
export interface Owner {
  uid: number;
  gid: number;
  /** A further group of the caller's that owns the directory, or gid. */
  group: number;
  umask: number;
}

/** What a namespace op answers: a payload length, 0, or -errno. */
export type Answer = number;

/** Where unexpected things are reported: once each, with op and node. */
export type Log = (message: string) => void;

export type { NodeId, PlaceId };
