// Images from Dockerfiles.

export { BuildError, errorLine } from './build-error.js';
export { buildImage } from './builder.js';
export type { BuildRequest, Emit } from './request.js';
