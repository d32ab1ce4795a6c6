// How an entry point loads its command: what cannot even be loaded (the addon, when it was not built) is told in a
// sentence too. Imports nothing else, so that this always works.

/** Runs a command. A launcher that waits for its exit code gets the end of file, which it takes for a failure. */
export function start(command: () => Promise<void>): void {
  command().catch((error: unknown) => {
    const known = error instanceof Error && error.name === 'AddonMissing';
    process.stderr.write(
      `lamina: ${known ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    process.exit(1);
  });
}
