// The other side of apart.ts: what an entry point calls to be given its work and to tell how it went.

import { readFileSync, writeSync } from 'node:fs';
import { type ApartReport, REPORT_FD } from './apart.js';

function report(message: ApartReport): void {
  const bytes = Buffer.from(JSON.stringify(message));
  for (let at = 0; at < bytes.length;) at += writeSync(REPORT_FD, bytes, at);
}

/** Reads the work, does it and reports. */
export async function serveApart(work: (request: unknown) => unknown): Promise<void> {
  const request: unknown = JSON.parse(readFileSync(REPORT_FD, 'utf8'));
  try {
    report({ result: (await work(request)) ?? null });
  } catch (error) {
    const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) };
    report({ error: { name, message } });
  }
}
