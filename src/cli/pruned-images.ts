// What a prune tells of the images that it removed.

export interface PrunedImages {
  readonly ImagesDeleted: readonly { readonly Untagged?: string; readonly Deleted?: string }[] | null;
  readonly SpaceReclaimed: number;
}

/** A line for each name and each image. */
export function prunedImages({ ImagesDeleted: deleted }: PrunedImages): string[] {
  return (deleted ?? []).map(({ Untagged: untagged, Deleted: gone }) =>
    untagged === undefined ? `deleted: ${gone ?? ''}` : `untagged: ${untagged}`,
  );
}
