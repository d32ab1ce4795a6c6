// Names of images: Docker's grammar, its canonical form (docker.io/library/busybox:latest), which the store keeps,
// and its familiar form (busybox:latest), which people read. Pure.

/** A parsed name; `repository` is canonical. */
export interface Reference {
  readonly repository: string;
  readonly tag?: string;
  /** Hex sha256. */
  readonly digest?: string;
}

const DOMAIN = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::\d+)?$/;
const PATH_PART = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const MAX_REPOSITORY = 255;

/** A name that breaks the grammar, in Docker's words. */
export class InvalidReference extends Error {
  override readonly name = 'InvalidReference';
}

function splitDomain(name: string): [domain: string, path: string] {
  const slash = name.indexOf('/');
  const first = slash === -1 ? '' : name.slice(0, slash);
  const isDomain = slash !== -1 && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  const domain = isDomain ? (first === 'index.docker.io' ? 'docker.io' : first) : 'docker.io';
  const path = isDomain ? name.slice(slash + 1) : name;
  return [domain, domain === 'docker.io' && !path.includes('/') ? `library/${path}` : path];
}

/** Parses NAME[:TAG][@DIGEST] as given; no tag is added. Throws `InvalidReference`. */
export function parseReference(text: string): Reference {
  const invalid = (): InvalidReference => new InvalidReference(`invalid reference format: "${text}"`);
  const [rest = '', digestText, ...more] = text.split('@');
  if (more.length > 0) throw invalid();
  const digest = digestText === undefined ? undefined : /^sha256:([0-9a-f]{64})$/.exec(digestText)?.[1];
  if (digestText !== undefined && digest === undefined) throw invalid();
  const colon = rest.lastIndexOf(':');
  const tagged = colon > rest.lastIndexOf('/');
  const tag = tagged ? rest.slice(colon + 1) : undefined;
  const [domain, path] = splitDomain(tagged ? rest.slice(0, colon) : rest);
  if (path !== path.toLowerCase())
    throw new InvalidReference(`invalid reference format: repository name (${path}) must be lowercase`);
  const valid =
    DOMAIN.test(domain) && path.split('/').every((part) => PATH_PART.test(part)) && (tag === undefined || TAG.test(tag));
  if (!valid || path.length > MAX_REPOSITORY) throw invalid();
  return { repository: `${domain}/${path}`, tag, digest };
}

/** The key of a tagged name in the store, `latest` when it has no tag. */
export function canonicalName(text: string): string {
  const { repository, tag } = parseReference(text);
  return `${repository}:${tag ?? 'latest'}`;
}

/** Whether a canonical name of the store ends in a digest, not in a tag. */
export function isDigested(canonical: string): boolean {
  return canonical.includes('@');
}

/** Without docker.io/ and library/, as Docker shows names. */
export function familiarName(canonical: string): string {
  return canonical.replace(/^docker\.io\/(library\/(?=[^/]*$))?/, '');
}

/** A canonical name as the two columns of `image ls`. */
export function splitTag(canonical: string): { repository: string; tag: string } {
  const colon = canonical.lastIndexOf(':');
  return { repository: canonical.slice(0, colon), tag: canonical.slice(colon + 1) };
}
