// Locks of files that others share, and what ends them: FLUSH, RELEASE, INTERRUPT. The table itself is in locks.h.

#include <errno.h>
#include <fcntl.h>

#include "bypass.h"
#include "locks.h"

namespace lamina {

int opLock(Request& request) {
  auto* in = request.as<LkIn>();
  Node* node = request.node();
  LockTable* locks = request.mount.locks;
  if (!in) return -EINVAL;
  if (!node) return -ESTALE;
  if (!locks) return -ENOSYS;  // the kernel keeps them itself: it was not told to send any
  if (in->lk.type != F_RDLCK && in->lk.type != F_WRLCK && in->lk.type != F_UNLCK) return -EINVAL;
  Node* opened = request.mount.nodes.find(request.in.nodeid);
  if (!opened->opens) return -EBADF;
  if (request.in.opcode == kGetlk) return locks->get(request, node, *in);
  return locks->set(request, node, *in, request.in.opcode == kSetlkw);
}

int opFlush(Request& request) {
  auto* in = request.as<FlushIn>();
  Node* node = request.node();
  if (in && node && request.mount.locks) request.mount.locks->closed(request, node, in->lockOwner);
  return 0;
}

int opInterrupt(Request& request) {
  auto* in = request.as<InterruptIn>();
  LockTable* locks = request.mount.locks;
  if (in && locks) locks->interrupt(&request.mount, in->unique);
  return kNoReply;
}

}  // namespace lamina
