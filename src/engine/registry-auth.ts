// Who a client is to a registry: what it sends along, else what this engine's user has kept.

import { badParameter } from '../container/errors.js';
import { canonicalName, type Credentials, findCredentials, splitTag } from '../image/index.js';
import type { Call } from './http.js';
import { type Shape, shaped } from './shape.js';

export type Auth = Readonly<Record<string, string | undefined>>;

export const AUTH: Readonly<Record<string, Shape>> = {
  username: 'string',
  password: 'string',
  serveraddress: 'string',
  identitytoken: 'string',
  registrytoken: 'string',
};

const HUB: readonly string[] = ['https://index.docker.io/v1/', 'index.docker.io', 'docker.io'];

export function credentialsGiven(given: Auth): Credentials | undefined {
  if (given['identitytoken']) return { identityToken: given['identitytoken'] };
  if (given['registrytoken']) return { registryToken: given['registrytoken'] };
  return given['username'] ? { username: given['username'], password: given['password'] ?? '' } : undefined;
}

function headerOf(call: Call, name: string, shape: Shape): unknown {
  const text = call.request.headers[name.toLowerCase()];
  if (typeof text !== 'string' || text === '') return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(text, 'base64url').toString() || '{}') as unknown;
  } catch {
    throw badParameter(`invalid ${name} header`);
  }
  return shaped(parsed, shape, name);
}

/** What `X-Registry-Auth` says. Errors: 400. */
export function credentialsSent(call: Call): Credentials | undefined {
  const given = headerOf(call, 'X-Registry-Auth', AUTH) as Auth | undefined;
  return given && credentialsGiven(given);
}

/** For one image. Errors: 400. */
export async function credentialsOf(call: Call, reference: string): Promise<Credentials | undefined> {
  return credentialsSent(call) ?? findCredentials(repositoryOf(reference));
}

/** For the images of a build, as `X-Registry-Config` says. Errors: 400. */
export function credentialsForBuild(call: Call): (reference: string) => Promise<Credentials | undefined> {
  const given = (headerOf(call, 'X-Registry-Config', { '*': AUTH }) ?? {}) as Readonly<Record<string, Auth>>;
  return async (reference) => {
    const repository = repositoryOf(reference);
    const [host = ''] = repository.split('/');
    const names = host === 'docker.io' ? HUB : [host, `https://${host}`, `http://${host}`];
    const own = names.map((name) => given[name]).find((auth) => auth !== undefined);
    return (own && credentialsGiven(own)) ?? findCredentials(repository);
  };
}

function repositoryOf(reference: string): string {
  return splitTag(canonicalName(reference.split('@')[0] ?? '')).repository;
}
