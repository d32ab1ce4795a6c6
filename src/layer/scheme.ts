// Which extended attributes hold the overlay's marks: trusted.* where this process may use them, user.* elsewhere, as
// the kernel's userxattr. Asked by whoever plans a mount or reads layers.

import { isHostRoot } from '../native/host-root.js';
import type { XattrScheme } from './format.js';

/** trusted.* needs root in the first user namespace; root of another one is refused (Linux: xattr_permission). */
export function ownScheme(): XattrScheme {
  return isHostRoot() ? 'trusted' : 'user';
}
