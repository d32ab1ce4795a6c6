#include <errno.h>
#include <sys/mount.h>
#include <sys/xattr.h>

#include <vector>

#include "napi_args.h"
#include "proc_path.h"
#include "syscalls.h"

namespace lamina {
namespace {

constexpr size_t kMaxXattr = 65536;

// A path below an fd goes through /proc, so the last component is not followed (l*xattr); the fd itself is
// reached through its magic link, which must be followed, and which stops at the object even when it is a symlink.
bool isSelf(const std::string& path) { return path.empty(); }

Napi::Value Getxattr(Args info) {
  std::string path = bytesArg(info, 1), name = bytesArg(info, 2);
  std::string target = procPath(intArg(info, 0), path);
  std::vector<char> value(256);
  for (;;) {
    ssize_t n = isSelf(path) ? getxattr(target.c_str(), name.c_str(), value.data(), value.size())
                             : lgetxattr(target.c_str(), name.c_str(), value.data(), value.size());
    if (n >= 0) return Napi::Buffer<char>::Copy(info.Env(), value.data(), n);
    if (errno != ERANGE || value.size() >= kMaxXattr) return number(info, -errno);
    value.resize(kMaxXattr);
  }
}

Napi::Value Setxattr(Args info) {
  std::string path = bytesArg(info, 1), name = bytesArg(info, 2);
  std::string target = procPath(intArg(info, 0), path);
  Span value = spanArg(info, 3);
  int flags = intArg(info, 4);
  return result(info, isSelf(path) ? setxattr(target.c_str(), name.c_str(), value.data, value.size, flags)
                                   : lsetxattr(target.c_str(), name.c_str(), value.data, value.size, flags));
}

Napi::Value Removexattr(Args info) {
  std::string path = bytesArg(info, 1), name = bytesArg(info, 2);
  std::string target = procPath(intArg(info, 0), path);
  return result(info,
                isSelf(path) ? removexattr(target.c_str(), name.c_str()) : lremovexattr(target.c_str(), name.c_str()));
}

Napi::Value Listxattr(Args info) {
  std::string path = bytesArg(info, 1);
  std::string target = procPath(intArg(info, 0), path);
  std::vector<char> list(1024);
  ssize_t n;
  for (;;) {
    n = isSelf(path) ? listxattr(target.c_str(), list.data(), list.size())
                     : llistxattr(target.c_str(), list.data(), list.size());
    if (n >= 0) break;
    if (errno != ERANGE || list.size() >= kMaxXattr) return number(info, -errno);
    list.resize(kMaxXattr);
  }
  auto names = Napi::Array::New(info.Env());
  uint32_t count = 0;
  for (ssize_t at = 0; at < n;) {
    size_t length = strlen(list.data() + at);
    names.Set(count++, bytes(info.Env(), list.data() + at, length));
    at += length + 1;
  }
  return names;
}

const char* orNull(const std::string& text) { return text.empty() ? nullptr : text.c_str(); }

Napi::Value Mount(Args info) {
  std::string source = bytesArg(info, 0), target = bytesArg(info, 1), type = bytesArg(info, 2),
              data = bytesArg(info, 4);
  return result(info, mount(orNull(source), target.c_str(), orNull(type), uintArg(info, 3), orNull(data)));
}

Napi::Value Umount2(Args info) { return result(info, umount2(bytesArg(info, 0).c_str(), intArg(info, 1))); }

}  // namespace

void registerXattrAndMountCalls(Napi::Env env, Napi::Object sys) {
  const struct {
    const char* name;
    Napi::Value (*call)(Args);
  } calls[] = {
      {"getxattr", Getxattr},   {"setxattr", Setxattr}, {"removexattr", Removexattr},
      {"listxattr", Listxattr}, {"mount", Mount},       {"umount2", Umount2},
  };
  for (const auto& entry : calls) sys.Set(entry.name, Napi::Function::New(env, entry.call, entry.name));
}

}  // namespace lamina
