// Entry point of a process that puts content into a volume. Started by content.ts.

import { serveApart } from '../process/serve.js';
import type { ContentWork } from './content.js';
import { copyContent, fillDirectory } from './transfer.js';
import { finishPopulate, populate } from './populate.js';

void serveApart((request) => {
  const work = request as ContentWork;
  switch (work.op) {
    case 'copy':
      return fillDirectory(work.to, copyContent(work.from));
    case 'populate':
      return populate(work.path, work.layers, work.destination, work.scheme, work.within);
    case 'settle':
      return finishPopulate(work.path);
  }
});
