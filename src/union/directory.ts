// A directory of the union: where it lives in each layer, and the index of its names. The union makes one when it first
// has to decide something in a directory; directories of a single layer that nobody changes never get one.

import type { NameMarks } from '../layer/format.js';
import type { NativeMount, NodeId, PlaceId } from '../native/mount.js';
import { DirentType } from '../native/syscalls.js';

/** Position of a place in a directory: 0 is upper, 1.. the lowers from the top. */
export type PlaceIndex = number & { readonly [placeIndexBrand]: 'PlaceIndex' };
declare const placeIndexBrand: unique symbol;

export const UPPER = 0 as PlaceIndex;

/** One name: which place shows it, its d_type, its readdir position. Packed, as directories may have a million. */
export type Entry = number & { readonly [entryBrand]: 'Entry' };
declare const entryBrand: unique symbol;

const PLACE_BITS = 10; // 500 layers and upper
const TYPE_BITS = 4;
const WHITEOUT_TYPE = 14; // DT_WHT

export function packEntry(place: PlaceIndex, type: number, position: number): Entry {
  return (position * (1 << (PLACE_BITS + TYPE_BITS)) + (type << PLACE_BITS) + place) as Entry;
}
export function entryPlace(entry: Entry): PlaceIndex {
  return (entry % (1 << PLACE_BITS)) as PlaceIndex;
}
export function entryType(entry: Entry): number {
  return Math.floor(entry / (1 << PLACE_BITS)) % (1 << TYPE_BITS);
}
export function entryPosition(entry: Entry): number {
  return Math.floor(entry / (1 << (PLACE_BITS + TYPE_BITS)));
}
export function isWhiteout(entry: Entry): boolean {
  return entryType(entry) === WHITEOUT_TYPE;
}
export function isDirectory(entry: Entry): boolean {
  return entryType(entry) === DirentType.DIR;
}

/** The names of one merged directory. Positions only grow while an index lives, so readdir offsets stay valid. */
export class DirectoryIndex {
  readonly entries = new Map<string, Entry>();
  /** Names by readdir position; '' where one was removed. */
  readonly order: string[] = [];
  /** Whiteouts by name (`.wh.x`, xattr), per place: they hide names in the places below but leave no device to see. */
  readonly hidden = new Map<PlaceIndex, Set<string>>();
  /** Names that upper has or hides and a lower would show. */
  readonly #covered = new Set<string>();
  /**
   * Set when the native side listed this directory before we did: a reader may still come back with an offset of the
   * backing directory. Position of the next name by such an offset.
   */
  resume: Map<bigint, number> | undefined;

  set(name: string, place: PlaceIndex, type: number): void {
    if (place === UPPER) this.#coverLower(name);
    const known = this.entries.get(name);
    let position = known === undefined ? -1 : entryPosition(known);
    if (position < 0 || this.order[position] !== name) position = this.order.push(name) - 1;
    this.entries.set(name, packEntry(place, type, position));
  }

  setWhiteout(name: string, place: PlaceIndex): void {
    if (place === UPPER) this.#coverLower(name);
    const known = this.get(name);
    if (known !== undefined) this.order[entryPosition(known)] = '';
    this.entries.set(name, packEntry(place, WHITEOUT_TYPE, 0));
  }

  delete(name: string): void {
    const known = this.entries.get(name);
    if (known === undefined) return;
    if (!isWhiteout(known)) this.order[entryPosition(known)] = '';
    this.entries.delete(name);
  }

  /** Whether a lower shows `name`, or would if upper neither had nor hid it. Asking the layers would cost a stat in each. */
  shownByLower(name: string): boolean {
    return this.#isOfLower(name) || this.#covered.has(name);
  }

  /** A lower has a name that upper has or hides too. */
  cover(name: string): void {
    this.#covered.add(name);
  }

  #isOfLower(name: string): boolean {
    const entry = this.get(name);
    return entry !== undefined && entryPlace(entry) !== UPPER;
  }

  #coverLower(name: string): void {
    if (this.#isOfLower(name)) this.cover(name);
  }

  /** Closes the gaps that removed names left in the order; nobody may be between two requests of a listing. */
  compact(): void {
    if (this.order.length < 2 * this.entries.size + 64) return;
    const names = this.order.filter((name, position) => name !== '' && this.#isAt(name, position));
    this.order.length = 0;
    for (const name of names) {
      const entry = this.entries.get(name) as Entry;
      this.entries.set(name, packEntry(entryPlace(entry), entryType(entry), this.order.push(name) - 1));
    }
    this.resume?.clear();
  }

  #isAt(name: string, position: number): boolean {
    const entry = this.get(name);
    return entry !== undefined && entryPosition(entry) === position;
  }

  /** The entry of a name that exists. */
  get(name: string): Entry | undefined {
    const entry = this.entries.get(name);
    return entry === undefined || isWhiteout(entry) ? undefined : entry;
  }
}

export class UnionDirectory {
  /** Built on first use, dropped by the union's LRU. */
  index: DirectoryIndex | undefined;
  /** A readdir is between its first and last request: the index must not go. */
  reading = false;
  /** Its name is gone. */
  removed = false;
  /** Whether it holds copies that keep a number of their own; unknown until asked. */
  impure: boolean | undefined;
  /** The native side served it before: see DirectoryIndex.resume. */
  takenOver = false;

  constructor(
    readonly id: NodeId,
    /** References owned by this object. */
    public upper: PlaceId | undefined,
    public lowers: readonly PlaceId[],
    /** Layer number of each lower, for redirects. */
    readonly layers: readonly number[],
    /** Of the places whose names are not read as usual. */
    readonly marks: Map<PlaceIndex, NameMarks>,
  ) {}

  /** An empty opaque directory, `upper`, took its place. Takes over the reference. */
  becomeEmpty(native: NativeMount, upper: PlaceId): void {
    for (const place of [this.upper, ...this.lowers]) if (place !== undefined) native.placeDrop(place);
    this.upper = upper;
    this.lowers = [];
    this.marks.clear();
    this.index = new DirectoryIndex();
    this.impure = undefined;
  }

  place(index: PlaceIndex): PlaceId {
    const place = index === UPPER ? this.upper : this.lowers[index - 1];
    if (place === undefined) throw new Error(`directory ${this.id} has no place ${index}`);
    return place;
  }
}
