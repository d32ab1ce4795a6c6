// Entry point of a process that unpacks a layer. Started by layer-unpack.ts.

import { serveApart } from '../process/serve.js';
import { type UnpackWork, unpackHere } from './layer-unpack.js';

void serveApart((request, tell) => {
  const { target, stored } = request as UnpackWork;
  return unpackHere(target, stored ?? process.stdin, { progress: tell });
});
