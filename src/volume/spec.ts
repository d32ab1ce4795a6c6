// What a volume is asked to be, and the grammar of `-v`: Docker's two parsers (command line, then engine) in one, with
// their error texts. In a section, `\:` stands for a colon, `\,` for a comma and `\\` before a colon for a backslash
// (Docker has no way to say either). `--mount` is in mount-flag.ts. Called by cli/, container/ and engine/.

import { resolve } from 'node:path';
import { cleanPath, depthOf } from './clean-path.js';
import { parseMode, type Propagation } from './mode.js';
import { VolumeSpecError } from './volume-error.js';

export { VolumeSpecError };

export interface VolumeSpec {
  kind: 'anonymous' | 'named' | 'bind';
  /** Volume name, or absolute host path; absent for an anonymous volume. */
  source?: string;
  /** Absolute path in the root, cleaned as text; symlinks are resolved when it is mounted. */
  destination: string;
  readOnly: boolean;
  /** A fresh volume stays empty instead of getting what the image has at the destination. */
  nocopy: boolean;
  /** A missing host directory is made. */
  create: boolean;
  /** Of a bind; `rprivate` when absent. */
  propagation?: Propagation;
  /** SELinux relabelling. */
  label?: 'z' | 'Z';
  /** The `-v` argument it was parsed from. Absent when it came from `--mount`. */
  raw?: string;
}

/** Splits at colons that are not escaped. */
function splitSections(raw: string): string[] {
  const sections = [''];
  const append = (text: string): void => void (sections[sections.length - 1] += text);
  for (let i = 0; i < raw.length; i++) {
    if (raw.startsWith('\\:', i) || raw.startsWith('\\,', i)) {
      append(raw[i + 1] ?? '');
      i++;
    } else if (raw.startsWith('\\\\:', i)) {
      append('\\');
      i++;
    } else if (raw[i] === ':') {
      sections.push('');
    } else {
      append(raw[i] ?? '');
    }
  }
  return sections;
}

/** The parts of a `-v` argument as Docker's command line tells them apart, as they are written. Errors: VolumeSpecError. */
export function volumeSections(raw: string): string[] {
  if (raw.length > 0 && raw.length <= 2) return [raw];
  sectionsOf(raw);
  return raw.match(/(?:\\\\(?=:)|\\:|[^:])+/g) ?? [];
}

function sectionsOf(raw: string): string[] {
  if (raw === '') throw new VolumeSpecError('invalid empty volume spec');
  const sections = splitSections(raw);
  // Docker's command line leaves one or two characters to the engine.
  if (raw.length <= 2 && sections.includes('')) throw invalid(raw);
  sections.forEach((section, i) => {
    if (section === '') throw new VolumeSpecError(`invalid spec: ${raw}: empty section between colons`);
    if (i === 2 && sections.length > 3) throw new VolumeSpecError(`invalid spec: ${raw}: too many colons`);
  });
  return sections;
}

function invalid(raw: string, why?: string): VolumeSpecError {
  return new VolumeSpecError(`invalid volume specification: '${raw}'${why === undefined ? '' : `: ${why}`}`);
}

/** Complaint about where something is to be mounted; undefined when that is fine. */
export function checkPlace(destination: string): string | undefined {
  if (!destination.startsWith('/')) return `invalid mount path: '${destination}' mount path must be absolute`;
  return cleanPath(destination) === '/' ? `invalid specification: destination can't be '/'` : undefined;
}

/** Complaint about a mount of this type; undefined when destination is fine. */
export function checkDestination(type: string, destination: string): string | undefined {
  const complaint = destination === '' ? 'field Target must not be empty' : checkPlace(destination);
  return complaint && `invalid mount config for type "${type}": ${complaint}`;
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const LONGEST_NAME = 255;

/** Checks a volume's name. Errors: VolumeSpecError with Docker's text. */
export function checkVolumeName(name: string): void {
  if (name.length === 1) {
    throw new VolumeSpecError(`create ${name}: volume name is too short, names should be at least two alphanumeric characters`);
  }
  if (!NAME.test(name)) {
    throw new VolumeSpecError(
      `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. ` +
        'If you intended to pass a host directory, use absolute path',
    );
  }
  if (name.length > LONGEST_NAME)
    throw new VolumeSpecError(`create ${name}: file name too long: at most ${LONGEST_NAME} characters`);
}

/**
 * Parses one `-v` argument. `cwd` completes a source that begins with a dot; `~` is left to the shell.
 * Errors: VolumeSpecError.
 */
export function parseVolume(raw: string, cwd: string): VolumeSpec {
  const sections = sectionsOf(raw);
  const last = sections[sections.length - 1] ?? '';
  if (sections.length === 2 && parseMode(last)) throw invalid(raw);
  const mode = sections.length === 3 ? parseMode(last) : {};
  if (!mode) throw new VolumeSpecError(`invalid mode: ${last}`);

  const [first = '', second] = sections;
  const given = second === undefined ? undefined : first;
  const source = given?.startsWith('.') ? resolve(cwd, given) : given;
  const isBind = source?.startsWith('/') === true;
  const complaint = checkDestination(isBind ? 'bind' : 'volume', second ?? first);
  if (complaint) throw invalid(raw, complaint);
  if (isBind && mode.copy) throw invalid(raw, 'invalid mount config for type "bind": field VolumeOptions must not be specified');
  if (!isBind && mode.propagation)
    throw invalid(raw, 'invalid mount config for type "volume": field BindOptions must not be specified');
  if (source !== undefined && !isBind) checkVolumeName(source);

  const { propagation, label } = mode;
  return {
    kind: source === undefined ? 'anonymous' : isBind ? 'bind' : 'named',
    ...(source === undefined ? {} : { source: isBind ? cleanPath(source) : source }),
    destination: cleanPath(second ?? first),
    readOnly: mode.access === 'ro',
    nocopy: mode.copy !== undefined,
    create: isBind,
    ...(propagation === undefined ? {} : { propagation }),
    ...(label === undefined ? {} : { label }),
    raw,
  };
}

/** Shallow first, else as given: what is mounted inside another mount comes after it (Docker: sortMounts). */
export function sortMounts<T extends { readonly destination: string }>(mounts: readonly T[]): T[] {
  return [...mounts].sort((a, b) => depthOf(a.destination) - depthOf(b.destination));
}

/**
 * All volumes of one root, in the order in which they are mounted. The same `-v` twice is one volume; an anonymous `-v`
 * gives way to whatever else has its destination. Errors: VolumeSpecError for a destination that two others share.
 */
export function combineVolumes(specs: readonly VolumeSpec[]): VolumeSpec[] {
  const isWeak = (spec: VolumeSpec): boolean => spec.kind === 'anonymous' && spec.raw !== undefined;
  const taken = new Map<string, VolumeSpec>();
  for (const spec of [...specs.filter((each) => !isWeak(each)), ...specs.filter(isWeak)]) {
    const other = taken.get(spec.destination);
    if (!other) taken.set(spec.destination, spec);
    else if (!isWeak(spec) && (spec.raw === undefined || spec.raw !== other.raw)) {
      throw new VolumeSpecError(`Duplicate mount point: ${spec.destination}`);
    }
  }
  return sortMounts(specs.filter((spec) => taken.get(spec.destination) === spec));
}
