// The other side of apart.ts: what an entry point calls to be given its work and to tell how it went.

import { readFileSync, writeSync } from 'node:fs';
import { type ApartReport, REPORT_FD, type ToldError } from './apart.js';

function report(message: ApartReport): void {
  const bytes = Buffer.from(`${JSON.stringify(message)}\n`);
  for (let at = 0; at < bytes.length;) at += writeSync(REPORT_FD, bytes, at);
}

function toldOf(error: unknown): ToldError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  const { name, message, code, syscall, errno } = error as NodeJS.ErrnoException;
  return {
    name,
    message,
    ...(code === undefined ? {} : { code }),
    ...(syscall === undefined ? {} : { syscall }),
    ...(errno === undefined ? {} : { errno }),
  };
}

/** Reads the work, does it and reports. What `tell` is given (JSON) is heard at once. */
export async function serveApart(work: (request: unknown, tell: (message: unknown) => void) => unknown): Promise<void> {
  const request: unknown = JSON.parse(readFileSync(REPORT_FD, 'utf8'));
  try {
    report({ result: (await work(request, (told) => report({ told }))) ?? null });
  } catch (error) {
    report({ error: toldOf(error) });
  }
}
