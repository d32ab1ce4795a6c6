#include "request.h"

#include <errno.h>

namespace lamina {
namespace {

/** What a request of an opcode must hold: a fixed part, then names, then for some a string that is no name. */
struct Shape {
  size_t fixed = 0;
  int names = 0;
  bool text = false;  // the target of a symlink
  size_t maxName = NAME_MAX;
  bool path = true;  // the name is one component; that of an attribute may be anything
};

Shape shapeOf(uint32_t opcode) {
  switch (opcode) {
    case kLookup:
    case kUnlink:
    case kRmdir:
      return {0, 1};
    case kSymlink:
      return {0, 1, true};
    case kMknod:
      return {sizeof(MknodIn), 1};
    case kMkdir:
      return {sizeof(MkdirIn), 1};
    case kRename:
      return {sizeof(uint64_t), 2};
    case kRename2:
      return {sizeof(Rename2In), 2};
    case kLink:
      return {sizeof(uint64_t), 1};
    case kCreate:
      return {sizeof(CreateIn), 1};
    case kTmpfile:
      return {sizeof(CreateIn)};
    case kSetxattr:
      return {sizeof(SetxattrIn), 1, false, XATTR_NAME_MAX, false};
    case kGetxattr:
      return {sizeof(GetxattrIn), 1, false, XATTR_NAME_MAX, false};
    case kRemovexattr:
      return {0, 1, false, XATTR_NAME_MAX, false};
    case kSetattr:
      return {sizeof(SetattrIn)};
    case kOpen:
    case kOpendir:
      return {sizeof(OpenIn)};
    case kRead:
    case kReaddir:
    case kReaddirplus:
      return {sizeof(ReadIn)};
    case kWrite:
      return {sizeof(WriteIn)};
    case kRelease:
    case kReleasedir:
      return {sizeof(ReleaseIn)};
    case kFsync:
    case kFsyncdir:
      return {sizeof(FsyncIn)};
    case kListxattr:
      return {sizeof(GetxattrIn)};
    case kLseek:
      return {sizeof(LseekIn)};
    case kFallocate:
      return {sizeof(FallocateIn)};
    case kCopyFileRange:
    case kCopyFileRange64:
      return {sizeof(CopyFileRangeIn)};
    case kIoctl:
      return {sizeof(IoctlIn)};
    default:
      return {};
  }
}

/** 0, or what a name is answered with: it must be one component that is in the directory it is looked up in. */
int checkName(std::string_view name, const Shape& shape) {
  if (name.empty()) return -EINVAL;
  if (name.size() > shape.maxName) return -ENAMETOOLONG;
  if (!shape.path) return 0;
  bool dots = name == "." || name == "..";
  return dots || name.find('/') != std::string_view::npos ? -EINVAL : 0;
}

}  // namespace

int checkRequest(const Request& request) {
  if (request.in.len != sizeof(InHeader) + request.size) return -EIO;
  Shape shape = shapeOf(request.in.opcode);
  if (request.size < shape.fixed) return -EINVAL;
  size_t at = shape.fixed;
  for (int i = 0; i < shape.names; i++) {
    std::string_view name = request.name(at);
    if (int error = checkName(name, shape)) return error;
    at += name.size() + 1;
  }
  if (!shape.text) return 0;
  size_t length = request.name(at).size();
  return length == 0 ? -EINVAL : length >= PATH_MAX ? -ENAMETOOLONG : 0;
}

}  // namespace lamina
