// One record of comma-separated values as Go's encoding/csv reads it, since `--mount` is one. Used by mount-fields.ts.

import { VolumeSpecError } from './volume-error.js';

function wrong(column: number, what: string): VolumeSpecError {
  return new VolumeSpecError(`parse error on line 1, column ${column}: ${what}`);
}

/** Reads a quoted field whose quote is at `start`; returns its text and where it ends. */
function readQuoted(text: string, start: number): { value: string; end: number } {
  let value = '';
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] !== '"') value += text[i];
    else if (text[i + 1] === '"') value += text[++i];
    else if (i + 1 < text.length && text[i + 1] !== ',') throw wrong(i + 1, 'extraneous or missing " in quoted-field');
    else return { value, end: i + 1 };
  }
  throw wrong(text.length + 1, 'extraneous or missing " in quoted-field');
}

/** Splits one record. A field in double quotes may hold commas, and quotes written twice. Errors: VolumeSpecError. */
export function splitRecord(text: string): string[] {
  const fields: string[] = [];
  for (let at = 0; at <= text.length; at++) {
    if (text[at] === '"') {
      const { value, end } = readQuoted(text, at);
      fields.push(value);
      at = end;
      continue;
    }
    const comma = text.indexOf(',', at);
    const end = comma < 0 ? text.length : comma;
    const field = text.slice(at, end);
    const quote = field.indexOf('"');
    if (quote >= 0) throw wrong(at + quote + 1, 'bare " in non-quoted-field');
    fields.push(field);
    at = end;
  }
  return fields;
}
