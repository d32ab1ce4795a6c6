// Tables in Docker's look: upper-case headers, columns three spaces apart, nothing after the last.

/** Renders rows under headers; ends with a newline. */
export function table(headers: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headers, ...rows];
  const widths = headers.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all
    .map((row) => row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('   '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}
