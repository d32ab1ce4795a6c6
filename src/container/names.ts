// Names for containers that were given none: an adjective and a noun of things that are layered or bound.

const LEFT =
  'amber ancient bold brave bright calm clever cosmic crisp daring eager early fair fancy fast gentle glad golden grand happy hardy humble jolly keen kind lively loyal lucky mellow merry mighty neat nimble noble patient plain proud quick quiet rapid ready royal sharp shiny silent silver simple sleek smart smooth snug solid steady still stout sturdy sunny swift tidy tough trusty vivid warm wise witty young'.split(
    ' ',
  );
const RIGHT =
  'agate anchor atlas basalt beam birch book brick bridge canyon cedar chalk cliff clay coral delta dune fern flint garnet glacier granite grove harbor hazel island jade ledge leaf lintel marble mason mesa mica moss oak onyx opal orchard panel pebble pine plank plate quarry quartz reef ridge river root sand shale sheet shelf shore slate slab spruce stone strata summit terrace tile timber topaz valley veneer willow'.split(
    ' ',
  );

function pick(words: readonly string[]): string {
  return words[Math.floor(Math.random() * words.length)] ?? '';
}

/** A name that `taken` does not know. */
export function randomName(taken: (name: string) => boolean): string {
  for (let tries = 0; ; tries++) {
    const name = `${pick(LEFT)}_${pick(RIGHT)}${tries > 4 ? Math.floor(Math.random() * 10 ** Math.min(tries, 9)) : ''}`;
    if (!taken(name)) return name;
  }
}
