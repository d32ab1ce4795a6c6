// Images as their callers see them: load, find, list, remove.

export { loadImage } from './load.js';
export type { Loaded, LoadedImage, LoadEvent, LoadOptions } from './load.js';
export { layerDirectories, listImages, NoSuchImage, resolveImage } from './images.js';
export type { Image } from './images.js';
export { ImageInUse, removeImage } from './remove.js';
export type { Removed, RemoveOptions } from './remove.js';
export { ImageError } from './image-error.js';
export { canonicalName, familiarName, InvalidReference, parseReference, splitTag } from './reference.js';
export type { Reference } from './reference.js';
export type { ImageConfig, RunConfig } from './config.js';
export type { Platform } from './plan.js';
export { commitImage, hasRedirects, packLayer } from './commit.js';
export type { CommitRequest } from './commit.js';
export { makeImage } from './load.js';
export { imageHistory, tagImage } from './names.js';
export type { HistoryEntry } from './names.js';
export { saveImages } from './save.js';
export type { SavedImage } from './save.js';
export { plainTar, zstdCompressor } from './compression.js';
export { Extractor, ExtractError } from './extract.js';
export { pullImage } from './registry/pull.js';
export type { Pulled, PullOptions } from './registry/pull.js';
export type { TransferEvent } from './registry/layer-downloads.js';
export { findCredentials } from './registry/credentials.js';
export type { Credentials } from './registry/credentials.js';
export { RegistryError } from './registry/registry-error.js';
export type { RegistryErrorKind } from './registry/registry-error.js';
