// What clients ask of registries through the engine beside pull and push: whether credentials hold, what a name stands for,
// what an index knows.

import { badParameter, EngineError } from '../container/errors.js';
import {
  RegistryError,
  checkLogin,
  findCredentials,
  inspectDistribution,
  parseReference,
  registryOf,
  searchImages,
  splitTerm,
} from '../image/index.js';
import type { Engine } from './engine.js';
import type { Call, Router } from './http.js';
import { AUTH, type Auth, credentialsGiven, credentialsOf, credentialsSent } from './registry-auth.js';
import { shaped } from './shape.js';

const DEFAULT_LIMIT = 25;
const LARGEST_LIMIT = 100;

/** A registry that says who asks is not let in: 401, as Docker has it. */
function refusing(error: unknown): never {
  if (error instanceof RegistryError && error.kind === 'unauthorized' && /^(unauthorized|login attempt)/.test(error.message))
    throw new EngineError(401, error.message);
  throw error;
}

/** `POST /auth`: asks the registry; nothing is kept. */
async function auth(call: Call): Promise<void> {
  const given = (shaped(await call.json(), AUTH, '') ?? {}) as Auth;
  let domain: string;
  try {
    domain = registryOf(given['serveraddress'] ?? '');
  } catch (error) {
    throw badParameter((error as Error).message);
  }
  const credentials = credentialsGiven(given);
  await checkLogin(domain, { ...(credentials ? { credentials } : {}), signal: call.signal }).catch(refusing);
  call.answer(200, { IdentityToken: '', Status: 'Login Succeeded' });
}

/** `GET /distribution/{name}/json`. */
async function distribution(call: Call): Promise<void> {
  const name = call.param();
  parseReference(name);
  const credentials = await credentialsOf(call, name);
  const options = { ...(credentials ? { credentials } : {}), signal: call.signal };
  const { mediaType, digest, size, platforms } = await inspectDistribution(name, options).catch(refusing);
  call.answer(200, { Descriptor: { mediaType, digest: `sha256:${digest}`, size }, Platforms: platforms });
}

/** `GET /images/search?term=T`. */
async function search(call: Call): Promise<void> {
  const filters = call.filters();
  filters.check(['is-automated', 'is-official', 'stars']);
  const isOfficial = filters.boolean('is-official');
  const isAutomated = filters.boolean('is-automated');
  const stars = filters.get('stars').map((text) => {
    if (!/^\d+$/.test(text)) throw badParameter(`invalid filter 'stars=[${text}]'`);
    return Number(text);
  });
  const limit = call.integer('limit') || DEFAULT_LIMIT;
  if (limit < 1 || limit > LARGEST_LIMIT) throw badParameter(`Limit ${limit} is outside the range of [1, ${LARGEST_LIMIT}]`);
  const term = call.query.get('term') ?? '';
  const { host } = splitTerm(term);
  const credentials = credentialsSent(call) ?? (await findCredentials(`${registryOf(host)}/`));
  const found = await searchImages(term, { limit, ...(credentials ? { credentials } : {}), signal: call.signal });
  const fits = found.filter(
    (each) =>
      (isOfficial === undefined || each.isOfficial === isOfficial) &&
      (isAutomated === undefined || each.isAutomated === isAutomated) &&
      stars.every((least) => each.stars >= least),
  );
  call.answer(
    200,
    fits.map((each) => ({
      star_count: each.stars,
      is_official: each.isOfficial,
      name: each.name,
      is_automated: each.isAutomated,
      description: each.description,
    })),
  );
}

export function registryRoutes(_: Engine, router: Router): void {
  router.on('POST', '/auth', auth);
  router.on('GET', '/distribution/{}/json', distribution);
  router.on('GET', '/images/search', search);
}
