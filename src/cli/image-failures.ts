// How failures of what is done with images without an engine are told. Called by image-load.ts and offline-images.ts.

import { ImageError, ImageInUse, InvalidReference, NoSuchImage } from '../image/index.js';
import { StoreError } from '../store/index.js';
import { UsageError } from './arguments.js';
import type { Tell } from './failures.js';
import { TemplateError } from './table.js';

const KNOWN = [ImageError, ImageInUse, InvalidReference, NoSuchImage, StoreError, TemplateError];

/** The message of an error that is meant for the user; others keep their name, as they are our fault. */
export function explain(error: unknown): string {
  if (KNOWN.some((kind) => error instanceof kind)) return (error as Error).message;
  return error instanceof Error ? `unexpected: ${error.stack ?? error.message}` : String(error);
}

export const tellOfImages: Tell = (error, { command }) => {
  const usage = error instanceof UsageError;
  process.stderr.write(usage ? `Error: ${error.message}\nSee '${command} --help'.\n` : `Error: ${explain(error)}\n`);
  return usage ? 125 : 1;
};
