// Requests and structures from literals: each field is named by the comment beside its bytes.

import { IN_HEADER } from '../../src/abi/protocol.js';
import { RequestReader } from '../../src/abi/requests.js';

/** Bytes from hex words; a word may begin with text in quotes, whose bytes are latin1. */
export function bytes(...words: readonly string[]): Buffer {
  return Buffer.concat(
    words.map((word) =>
      word.startsWith("'") ? Buffer.from(word.slice(1, -1), 'latin1') : Buffer.from(word.replace(/ /g, ''), 'hex'),
    ),
  );
}

export interface Request {
  readonly reader: RequestReader;
  /** Length of the whole request, as the header says. */
  readonly length: number;
}

/** A request with this header and body, in a bigger buffer that still holds an older, longer request. */
export function request(body: Buffer, header: Buffer = bytes('00'.repeat(IN_HEADER))): Request {
  const length = header.length + body.length;
  const buffer = new Uint8Array(length + 4096).fill(0x58);
  buffer[length + 40] = 0; // an end for a name that runs on into what was there before
  buffer.set(header, 0);
  buffer.set(body, header.length);
  return { reader: new RequestReader(buffer), length };
}
