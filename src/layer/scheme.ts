// Which extended attributes hold the overlay's marks: trusted.* where this process may use them, user.* elsewhere, as
// the kernel's userxattr. Asked by whoever plans a mount or reads layers.

import { readlinkSync } from 'node:fs';
import type { XattrScheme } from './format.js';

/** Linux: PROC_USER_INIT_INO. */
const FIRST_USER_NAMESPACE = 'user:[4026531837]';

/** trusted.* needs root in the first user namespace; root of another one is refused (Linux: xattr_permission). */
export function ownScheme(): XattrScheme {
  if (process.geteuid?.() !== 0) return 'user';
  try {
    return readlinkSync('/proc/self/ns/user') === FIRST_USER_NAMESPACE ? 'trusted' : 'user';
  } catch {
    return 'trusted';
  }
}
