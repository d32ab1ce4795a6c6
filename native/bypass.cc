#include "bypass.h"

#include <errno.h>

namespace lamina {
namespace {

int forgetOne(Mount& mount, uint64_t nodeid, uint64_t nlookup) {
  Node* node = mount.nodes.find(nodeid);
  if (node && nodeid != kRootId) mount.nodes.forget(node, nlookup);
  return kNoReply;
}

int batchForget(Request& request) {
  auto* in = request.as<BatchForgetIn>();
  if (!in) return kNoReply;
  size_t count = std::min<size_t>(in->count, (request.size - sizeof *in) / sizeof(ForgetOne));
  auto* all = reinterpret_cast<const ForgetOne*>(request.body + sizeof *in);
  for (size_t i = 0; i < count; i++) forgetOne(request.mount, all[i].nodeid, all[i].nlookup);
  request.mount.closeOrphanBackingIds();
  return kNoReply;
}

bool hasReply(uint32_t opcode) { return opcode != kForget && opcode != kBatchForget && opcode != kNotifyReply; }

int forget(Request& request) {
  auto* in = request.as<ForgetIn>();
  if (in) forgetOne(request.mount, request.in.nodeid, in->nlookup);
  request.mount.closeOrphanBackingIds();
  return kNoReply;
}

}  // namespace

int bypass(Request& request) {
  if (int error = checkRequest(request)) return hasReply(request.in.opcode) ? error : kNoReply;
  switch (request.in.opcode) {
    case kLookup:
      return opLookup(request);
    case kForget:
      return forget(request);
    case kBatchForget:
      return batchForget(request);
    case kGetattr:
      return opGetattr(request);
    case kSetattr:
      return opSetattr(request);
    case kStatx:
      return opStatx(request);
    case kReadlink:
      return opReadlink(request);
    case kSymlink:
    case kMknod:
    case kMkdir:
      return opMake(request);
    case kUnlink:
    case kRmdir:
      return opRemove(request);
    case kRename:
    case kRename2:
      return opRename(request);
    case kLink:
      return opLink(request);
    case kOpen:
      return opOpen(request);
    case kCreate:
      return opCreate(request);
    case kTmpfile:
      return opTmpfile(request);
    case kRead:
      return opRead(request);
    case kWrite:
      return opWrite(request);
    case kRelease:
      return opRelease(request);
    case kFsync:
      return opFsync(request, false);
    case kFsyncdir:
      return opFsync(request, true);
    case kStatfs:
      return opStatfs(request);
    case kSetxattr:
      return opSetxattr(request);
    case kGetxattr:
      return opGetxattr(request);
    case kListxattr:
      return opListxattr(request);
    case kRemovexattr:
      return opRemovexattr(request);
    case kOpendir:
      return opOpendir(request);
    case kReaddir:
      return opReaddir(request, false);
    case kReaddirplus:
      return opReaddir(request, true);
    case kLseek:
      return opLseek(request);
    case kFallocate:
      return opFallocate(request);
    case kCopyFileRange:
    case kCopyFileRange64:
      return opCopyFileRange(request);
    case kIoctl:
      return opIoctl(request);
    case kGetlk:
    case kSetlk:
    case kSetlkw:
      return opLock(request);
    case kFlush:
      return opFlush(request);
    case kInterrupt:
      return opInterrupt(request);
    case kReleasedir:
    case kDestroy:
      return 0;
    case kInit:
      return kDecide;
    case kNotifyReply:
      return kNoReply;
    default:
      return -ENOSYS;
  }
}

}  // namespace lamina
