// What `docker events` tells of images, by Docker's rules: who the actor is, what its name is, and the image's labels, by which
// events are filtered. Used by the endpoints that change, load or send images.

import { type Image, familiarName, imageOf, parseReference } from '../image/index.js';
import type { Engine } from './engine.js';

type Labels = Readonly<Record<string, string>>;

export const labelsOf = (image: Image | undefined): Labels => image?.config.config.Labels ?? {};

/**
 * Something was done to the image of the hex id `id`; its name is the id, unless the action is about a name.
 * `labels` are found when they are not given, as they must be of an image that is gone.
 */
export async function tellOfImage(
  { context }: Engine,
  action: 'tag' | 'untag' | 'delete' | 'load' | 'save' | 'import',
  id: string,
  { name, labels }: { readonly name?: string; readonly labels?: Labels } = {},
): Promise<void> {
  const own = labels ?? labelsOf(await imageOf(context.store, id));
  context.events.publish('image', action, `sha256:${id}`, { ...own, name: name ?? `sha256:${id}` });
}

/** A name came from a registry or went to one: the actor is the name, its `name` only the repository. */
export function tellOfTransfer({ context }: Engine, action: 'pull' | 'push', name: string, image: Image | undefined): void {
  const repository = familiarName(parseReference(name).repository);
  context.events.publish('image', action, familiarName(name), { ...labelsOf(image), name: repository });
}
