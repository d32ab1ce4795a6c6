// Lists as commands print them: Docker's tables (upper-case headers, columns three spaces apart), JSON lines, and the
// simple part of its `--format` templates.

/** Control characters would move the cursor or end the line: names of files may hold any. */
function printable(cell: string): string {
  return cell.replace(/[\u0000-\u001f\u007f-\u009f]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

function widthOf(cell: string): number {
  return Array.from(cell).length;
}

/** Renders rows under headers; ends with a newline. */
export function table(headers: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headers, ...rows].map((row) => row.map(printable));
  const widths = headers.map((_, column) => Math.max(...all.map((row) => widthOf(row[column] ?? ''))));
  const pad = (cell: string, column: number): string => cell + ' '.repeat((widths[column] ?? 0) - widthOf(cell));
  return all.map((row) => `${row.map(pad).join('   ').trimEnd()}\n`).join('');
}

/** A template that is not understood, or that names a field which is not there. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
}

const ACTION = /\{\{([^}]*)\}\}/g;

function fieldOf(value: unknown, path: string): unknown {
  let at = value;
  for (const name of path.split('.').filter((part) => part !== '')) {
    const known = typeof at === 'object' && at !== null ? Object.keys(at) : [];
    if (!known.includes(name)) {
      const next = known.length > 0 ? `use one of ${known.map((key) => `.${key}`).join(', ')}` : 'it has no fields';
      throw new TemplateError(`template: there is no field ${path}: ${next}`);
    }
    at = (at as Record<string, unknown>)[name];
  }
  return at;
}

/** Replaces each `{{.Field}}` and `{{json .Field}}` by what `show` gives for it; `\t` and `\n` are understood, as in Docker. */
function eachAction(template: string, show: (path: string, json: boolean) => string): string {
  return template
    .replace(/\\([tn])/g, (_, letter: string) => (letter === 't' ? '\t' : '\n'))
    .replace(ACTION, (action, inner: string) => {
      const match = /^\s*(json\s+)?(\.[\w.]*)\s*$/.exec(inner);
      if (!match?.[2]) throw new TemplateError(`template: ${action} is not understood: use {{.Field}} or {{json .Field}}`);
      return show(match[2], match[1] !== undefined);
    });
}

/** Fills a template from `value`: `{{.Field.Inner}}`, `{{json .}}`. Errors: TemplateError. */
export function fillTemplate(template: string, value: unknown): string {
  return eachAction(template, (path, json) => {
    const found = fieldOf(value, path);
    return json || typeof found !== 'string' ? JSON.stringify(found) : found;
  });
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
    );
  if (format === 'json') return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  const template = /^table\s+(.*)$/s.exec(format)?.[1];
  if (template === undefined) return rows.map((row) => `${fillTemplate(format, row)}\n`).join('');
  const headers = eachAction(
    template,
    (path) => columns.find(([field]) => `.${field}` === path)?.[1] ?? path.slice(1).toUpperCase(),
  );
  return table(
    headers.split('\t'),
    rows.map((row) => fillTemplate(template, row).split('\t')),
  );
}
