// Images from Dockerfiles.

export { BuildError, errorLine } from './build-error.js';
export { buildImage } from './builder.js';
export { changedConfig } from './change.js';
export { isUrl, withUrl } from './open-url.js';
export type { BuildRequest, Emit } from './request.js';
