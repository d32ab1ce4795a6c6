// Reads JSON that strangers wrote: parsing with a clear error, and values narrowed to the type that is expected.

/** JSON that is not what it must be; the message says what is wrong, the caller says where. */
export class JsonError extends Error {
  override readonly name = 'JsonError';
}

export type JsonObject = { readonly [key: string]: unknown };

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new JsonError(`not JSON (${(error as Error).message})`);
  }
}

export function object(value: unknown, what: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new JsonError(`${what} is not an object`);
  return value as JsonObject;
}

export function array(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new JsonError(`${what} is not a list`);
  return value;
}

export function string(value: unknown, what: string): string {
  if (typeof value !== 'string') throw new JsonError(`${what} is not a string`);
  return value;
}

export function strings(value: unknown, what: string): string[] {
  return array(value, what).map((item) => string(item, what));
}

export function optionalString(value: unknown, what: string): string | undefined {
  return value === undefined || value === null ? undefined : string(value, what);
}

/** A sha256 digest; gives its 64 hex digits. */
export function sha256Digest(value: unknown, what: string): string {
  const match = /^sha256:([0-9a-f]{64})$/.exec(string(value, what));
  if (!match?.[1]) throw new JsonError(`${what} is not a sha256 digest`);
  return match[1];
}
