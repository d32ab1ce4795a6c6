// The third section of `-v`: a comma list with at most one mode of each class. Used by spec.ts,
// mount-flag.ts and container/mount-points.ts.

const CLASSES = {
  access: ['rw', 'ro'],
  label: ['z', 'Z'],
  propagation: ['private', 'rprivate', 'slave', 'rslave', 'shared', 'rshared'],
  copy: ['nocopy'],
  consistency: ['consistent', 'cached', 'delegated'],
} as const;

export type Propagation = (typeof CLASSES.propagation)[number];

/** What was given of each class. */
export interface VolumeMode {
  access?: 'rw' | 'ro';
  /** SELinux label, shared or private; without effect where SELinux is off. */
  label?: 'z' | 'Z';
  propagation?: Propagation;
  copy?: 'nocopy';
  /** Without effect on Linux. */
  consistency?: 'consistent' | 'cached' | 'delegated';
}

export function isPropagation(text: string): text is Propagation {
  return (CLASSES.propagation as readonly string[]).includes(text);
}

/** Parses a mode list; undefined when it is none. */
export function parseMode(text: string): VolumeMode | undefined {
  const mode: Record<string, string> = {};
  for (const word of text.split(',')) {
    const found = Object.entries(CLASSES).find(([, words]) => (words as readonly string[]).includes(word));
    if (!found || mode[found[0]] !== undefined) return undefined;
    mode[found[0]] = word;
  }
  return mode;
}
