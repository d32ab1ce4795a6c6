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

function packEntry(place: PlaceIndex, type: number, position: number): Entry {
  return (position * (1 << (PLACE_BITS + TYPE_BITS)) + (type << PLACE_BITS) + place) as Entry;
}
export function entryPlace(entry: Entry): PlaceIndex {
  return (entry % (1 << PLACE_BITS)) as PlaceIndex;
}
export function entryType(entry: Entry): number {
  return Math.floor(entry / (1 << PLACE_BITS)) % (1 << TYPE_BITS);
}
function entryPosition(entry: Entry): number {
  return Math.floor(entry / (1 << (PLACE_BITS + TYPE_BITS)));
}
export function isWhiteout(entry: Entry): boolean {
  return entryType(entry) === WHITEOUT_TYPE;
}
export function isDirectory(entry: Entry): boolean {
  return entryType(entry) === DirentType.DIR;
}

/**
 * The names of one merged directory. Positions only grow and stay with their names while an index lives, so that readdir
 * offsets stay valid: nobody tells us when a listing ends.
 */
export class DirectoryIndex {
  readonly entries = new Map<string, Entry>();
  /** Names in the order of their positions, '' where one was removed; and the positions. */
  readonly #names: string[] = [];
  readonly #positions: number[] = [];
  #nextPosition = 0;
  /** Whiteouts by name (`.wh.x`, xattr), per place: they hide names in the places below but leave no device to see. */
  readonly hidden = new Map<PlaceIndex, Set<string>>();
  /** Names that upper has or hides and a lower would show. */
  readonly #covered = new Set<string>();
  /**
   * Set when the native side listed this directory before we did: a reader may still come back with an offset of the
   * backing directory. Position of the next name by such an offset.
   */
  resume: Map<bigint, number> | undefined;

  /** Names and gaps. */
  get length(): number {
    return this.#names.length;
  }

  set(name: string, place: PlaceIndex, type: number): void {
    if (place === UPPER) this.#coverLower(name);
    const known = this.get(name);
    const position = known === undefined ? this.#nextPosition++ : entryPosition(known);
    if (known === undefined) {
      this.#names.push(name);
      this.#positions.push(position);
    }
    this.entries.set(name, packEntry(place, type, position));
  }

  setWhiteout(name: string, place: PlaceIndex): void {
    if (place === UPPER) this.#coverLower(name);
    this.#leaveGap(name);
    this.entries.set(name, packEntry(place, WHITEOUT_TYPE, 0));
  }

  delete(name: string): void {
    this.#leaveGap(name);
    this.entries.delete(name);
  }

  /** The first name at or behind a position, and the position. */
  *from(position: number): Generator<[name: string, position: number]> {
    for (let slot = this.#slotOf(position); slot < this.#names.length; slot++) {
      const name = this.#names[slot] ?? '';
      if (name !== '') yield [name, this.#positions[slot] ?? 0];
    }
  }

  #leaveGap(name: string): void {
    const known = this.get(name);
    if (known !== undefined) this.#names[this.#slotOf(entryPosition(known))] = '';
  }

  /** Where the first position that is not below `position` is. */
  #slotOf(position: number): number {
    let [low, high] = [0, Math.min(position, this.#positions.length)];
    // Without gaps closed each position is its own slot.
    if (this.#positions[high] === position) return high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#positions[middle] ?? 0) < position) low = middle + 1;
      else high = middle;
    }
    return low;
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

  /** Closes the gaps that removed names left, when they are most. */
  compact(): void {
    if (this.#names.length < 2 * this.entries.size + 64) return;
    let kept = 0;
    for (const [slot, name] of this.#names.entries()) {
      if (name === '') continue;
      this.#names[kept] = name;
      this.#positions[kept++] = this.#positions[slot] ?? 0;
    }
    this.#names.length = this.#positions.length = kept;
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
