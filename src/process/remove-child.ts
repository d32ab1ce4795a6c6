// Entry point of a process that removes a tree. Started by remove-tree.ts.

import { removeNow } from './remove-tree.js';
import { serveApart } from './serve.js';

void serveApart((top) => removeNow(String(top)));
