// Lists as commands print them: Docker's tables (upper-case headers, columns three spaces apart), JSON lines, and the
// `--format` templates.

import { TemplateError, fillTemplate, formatted } from './template.js';

export { TemplateError, fillTemplate, formatted };

/** Of a column of a list, without the space to the next; Docker's. */
const NARROWEST = 7;

/** Control characters would move the cursor or end the line: names of files may hold any. */
function printable(cell: string): string {
  return cell.replace(/[\u0000-\u001f\u007f-\u009f]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

function widthOf(cell: string): number {
  return Array.from(cell).length;
}

/** Renders rows under headers; ends with a newline. */
export function table(headers: readonly string[], rows: readonly (readonly string[])[], narrowest = 0): string {
  const all = [headers, ...rows].map((row) => row.map(printable));
  const widths = headers.map((_, column) => Math.max(narrowest, ...all.map((row) => widthOf(row[column] ?? ''))));
  const pad = (cell: string, column: number): string => cell + ' '.repeat((widths[column] ?? 0) - widthOf(cell));
  return all.map((row) => `${row.map(pad).join('   ').trimEnd()}\n`).join('');
}

/** As Go's encoder writes JSON by itself. */
function htmlSafe(json: string): string {
  return json.replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The row with its fields in the order of their names; what JSON does not show comes along. */
function ordered(row: object): object {
  const fields = Object.entries(Object.getOwnPropertyDescriptors(row)).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.defineProperties({}, Object.fromEntries(fields));
}

/** The fields of a row in the order of the columns, and their headers. */
export type Columns<Row> = readonly (readonly [field: keyof Row & string, header: string])[];

/**
 * Renders a list as `--format` asks: `table` (also when absent), `table TEMPLATE` with cells parted by tabs, `json` for a
 * line of JSON each, or a template for each row. Errors: TemplateError.
 */
export function renderRows<Row extends object>(format: string | undefined, columns: Columns<Row>, rows: readonly Row[]): string {
  const cells = (row: Row): string[] => columns.map(([field]) => String(row[field]));
  if (format === undefined || format === 'table')
    return table(
      columns.map(([, header]) => header),
      rows.map(cells),
      NARROWEST,
    );
  if (format === 'json') return rows.map((row) => `${htmlSafe(JSON.stringify(ordered(row)))}\n`).join('');
  const template = /^table\s+(.*)$/s.exec(format)?.[1];
  if (template === undefined) return rows.map((row) => `${fillTemplate(format, ordered(row))}\n`).join('');
  const shown = rows[0] ?? {};
  const names = new Map<string, string>(columns);
  const headers = fillTemplate(
    template,
    Object.fromEntries([...Object.keys(shown), ...names.keys()].map((field) => [field, names.get(field) ?? field.toUpperCase()])),
  );
  return table(
    headers.split('\t'),
    rows.map((row) => fillTemplate(template, row).split('\t')),
    NARROWEST,
  );
}
