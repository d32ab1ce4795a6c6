// Entry point of a process that unpacks an archive, its stdin, into an empty directory. Started by volume-transfer.ts.

import { plainTar } from '../image/compression.js';
import { Extractor } from '../image/extract.js';
import { serveApart } from '../process/serve.js';
import { TarReader } from '../tar/tar-reader.js';
import { fillDirectory } from '../volume/transfer.js';

async function unpack(directory: number): Promise<void> {
  const extractor = new Extractor(directory);
  const reader = new TarReader(extractor);
  try {
    for await (const chunk of plainTar(process.stdin)) reader.write(chunk);
    reader.finish();
    extractor.finish();
  } finally {
    extractor.close();
  }
}

void serveApart((directory) => fillDirectory(String(directory), unpack));
