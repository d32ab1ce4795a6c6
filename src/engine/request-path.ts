// What the first line of a request asks for: the API version that its path begins with, and the rest of the path. Used by http.ts.

import { posix } from 'node:path';
import { badParameter } from '../container/errors.js';
import { API_VERSION } from './answer.js';

/** In it skopeo, podman and buildah of Debian 12 ask for `docker-daemon:` images; they are answered as 1.24. */
export const OLDEST_API_VERSION = '1.22';

export interface RequestPath {
  /** Without the version, as it was sent: names in it may be escaped. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** `[1, 47]`. */
  readonly version: readonly [major: number, minor: number];
  /** Where the client is sent instead, when the path has `//`, `.` or `..` in it. */
  readonly moved: string | undefined;
}

function parseVersion(text: string): [number, number] {
  const [major = 0, minor = 0] = text.split('.').map(Number);
  return [major, minor];
}

function isBefore([major, minor]: readonly [number, number], [toMajor, toMinor]: readonly [number, number]): boolean {
  return major === toMajor ? minor < toMinor : major < toMajor;
}

function checkVersion(given: string): readonly [number, number] {
  const version = parseVersion(given);
  if (isBefore(parseVersion(API_VERSION), version)) {
    throw badParameter(`client version ${given} is too new. Maximum supported API version is ${API_VERSION}`);
  }
  if (isBefore(version, parseVersion(OLDEST_API_VERSION))) {
    throw badParameter(
      `client version ${given} is too old. Minimum supported API version is ${OLDEST_API_VERSION}, please upgrade your client to a newer version`,
    );
  }
  return version;
}

/** Errors: 400 for a version that is too old or too new. */
export function parseRequestPath(url: string): RequestPath {
  const mark = url.indexOf('?');
  // A proxy's form has the host before the path.
  const whole = (mark < 0 ? url : url.slice(0, mark)).replace(/^https?:\/\/[^/]*/, '') || '/';
  const search = mark < 0 ? '' : url.slice(mark + 1);
  const clean = posix.normalize(whole);
  const moved = clean === whole ? undefined : clean + (search === '' ? '' : `?${search}`);
  const [, given, path = whole] = /^\/v([0-9.]+)(\/.*)$/.exec(whole) ?? [];
  const version = given === undefined || moved !== undefined ? parseVersion(API_VERSION) : checkVersion(given);
  return { path, query: new URLSearchParams(search), version, moved };
}
