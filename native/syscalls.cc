#include "syscalls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "copy_data.h"
#include "napi_args.h"
#include "proc_path.h"

namespace lamina {
namespace {

__extension__ using Wide = __int128;
constexpr Wide kSecond = 1'000'000'000;

int64_t saturated(Wide value) { return static_cast<int64_t>(std::clamp<Wide>(value, INT64_MIN, INT64_MAX)); }

Wide exactly(const statx_timestamp& time) { return Wide{time.tv_sec} * kSecond + time.tv_nsec; }

/** Nanoseconds since 1970; a time that a filesystem keeps and 64 bits do not is the last that they do. */
int64_t nanoseconds(const statx_timestamp& time) { return saturated(exactly(time)); }

/** What `nanoseconds` lacks. */
int64_t beyond(const statx_timestamp& time) { return saturated(exactly(time) - nanoseconds(time)); }

constexpr int kStatWords = 18;
constexpr Wide kUtimeNow = (Wide{1} << 100) + 1;
constexpr Wide kUtimeOmit = (Wide{1} << 100) + 2;

int64_t device(uint32_t major, uint32_t minor) { return (int64_t{major} << 32) | minor; }

int emptyPath(const std::string& path) { return path.empty() ? AT_EMPTY_PATH : 0; }

Napi::Value Openat2(Args info) {
  open_how how{};
  how.flags = uintArg(info, 2) | O_CLOEXEC;
  how.mode = uintArg(info, 3);
  how.resolve = uintArg(info, 4);
  if (!(how.flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)))) how.mode = 0;
  std::string path = bytesArg(info, 1);
  return result(info, syscall(SYS_openat2, intArg(info, 0), path.c_str(), &how, sizeof how));
}

Napi::Value Close(Args info) { return result(info, ::close(intArg(info, 0))); }

Napi::Value Statx(Args info) {
  std::string path = bytesArg(info, 1);
  Span out = spanArg(info, 2);
  if (out.size < kStatWords * sizeof(int64_t)) return number(info, -EINVAL);
  struct statx st {};
  int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | emptyPath(path);
  if (statx(intArg(info, 0), path.c_str(), flags, STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID, &st) < 0) {
    return number(info, -errno);
  }
  int64_t words[kStatWords] = {static_cast<int64_t>(st.stx_ino),
                               static_cast<int64_t>(st.stx_size),
                               static_cast<int64_t>(st.stx_blocks),
                               device(st.stx_dev_major, st.stx_dev_minor),
                               device(st.stx_rdev_major, st.stx_rdev_minor),
                               st.stx_mode,
                               st.stx_nlink,
                               st.stx_uid,
                               st.stx_gid,
                               nanoseconds(st.stx_atime),
                               nanoseconds(st.stx_mtime),
                               nanoseconds(st.stx_ctime),
                               nanoseconds(st.stx_btime),
                               st.stx_blksize,
                               static_cast<int64_t>(st.stx_attributes),
                               static_cast<int64_t>(st.stx_mnt_id),
                               beyond(st.stx_atime),
                               beyond(st.stx_mtime)};
  memcpy(out.data, words, sizeof words);
  return number(info, 0);
}

Napi::Value Mkdirat(Args info) {
  return result(info, mkdirat(intArg(info, 0), bytesArg(info, 1).c_str(), uintArg(info, 2)));
}

Napi::Value Mknodat(Args info) {
  int64_t rdev = bigArg(info, 3);
  dev_t dev = makedev(static_cast<uint32_t>(rdev >> 32), static_cast<uint32_t>(rdev));
  return result(info, mknodat(intArg(info, 0), bytesArg(info, 1).c_str(), uintArg(info, 2), dev));
}

Napi::Value Symlinkat(Args info) {
  return result(info, symlinkat(bytesArg(info, 0).c_str(), intArg(info, 1), bytesArg(info, 2).c_str()));
}

Napi::Value Readlinkat(Args info) {
  char target[PATH_MAX];
  ssize_t n = readlinkat(intArg(info, 0), bytesArg(info, 1).c_str(), target, sizeof target);
  if (n < 0) return number(info, -errno);
  return bytes(info.Env(), target, n);
}

Napi::Value Linkat(Args info) {
  std::string from = bytesArg(info, 1);
  int fromFd = intArg(info, 0), toFd = intArg(info, 2);
  std::string to = bytesArg(info, 3);
  if (!from.empty()) return result(info, linkat(fromFd, from.c_str(), toFd, to.c_str(), 0));
  // The /proc route needs no CAP_DAC_READ_SEARCH, unlike AT_EMPTY_PATH (linkat(2)).
  return result(info, linkat(AT_FDCWD, procPath(fromFd, "").c_str(), toFd, to.c_str(), AT_SYMLINK_FOLLOW));
}

Napi::Value Unlinkat(Args info) {
  return result(info, unlinkat(intArg(info, 0), bytesArg(info, 1).c_str(), intArg(info, 2)));
}

Napi::Value Renameat2(Args info) {
  std::string from = bytesArg(info, 1), to = bytesArg(info, 3);
  return result(info,
                syscall(SYS_renameat2, intArg(info, 0), from.c_str(), intArg(info, 2), to.c_str(), uintArg(info, 4)));
}

Napi::Value Fchownat(Args info) {
  std::string path = bytesArg(info, 1);
  return result(info, fchownat(intArg(info, 0), path.c_str(), uintArg(info, 2), uintArg(info, 3),
                               AT_SYMLINK_NOFOLLOW | emptyPath(path)));
}

Napi::Value Fchmodat(Args info) {
  struct stat st;
  std::string path = bytesArg(info, 1);
  int dirfd = intArg(info, 0);
  if (fstatat(dirfd, path.c_str(), &st, AT_SYMLINK_NOFOLLOW | emptyPath(path)) < 0) return number(info, -errno);
  if (S_ISLNK(st.st_mode)) return number(info, -EOPNOTSUPP);
  return result(info, chmod(procPath(dirfd, path).c_str(), uintArg(info, 2)));
}

timespec timeArg(Args info, size_t i) {
  int negative = 0;
  size_t count = 2;
  uint64_t words[2] = {};
  if (info[i].IsBigInt()) info[i].As<Napi::BigInt>().ToWords(&negative, &count, words);
  Wide ns = static_cast<Wide>(words[1]) << 64 | words[0];
  if (negative) ns = -ns;
  if (ns == kUtimeNow) return {0, UTIME_NOW};
  if (ns == kUtimeOmit) return {0, UTIME_OMIT};
  Wide seconds = ns / kSecond, rest = ns % kSecond;
  if (rest < 0) {
    rest += kSecond;
    seconds -= 1;
  }
  return {static_cast<time_t>(seconds), static_cast<long>(rest)};
}

Napi::Value Utimensat(Args info) {
  timespec times[2] = {timeArg(info, 2), timeArg(info, 3)};
  std::string path = bytesArg(info, 1);
  return result(info, utimensat(intArg(info, 0), path.c_str(), times, AT_SYMLINK_NOFOLLOW | emptyPath(path)));
}

struct linux_dirent64 {
  uint64_t ino;
  int64_t off;
  uint16_t reclen;
  uint8_t type;
  char name[];
};

Napi::Value Readdir(Args info) {
  int fd = intArg(info, 0);
  if (lseek(fd, 0, SEEK_SET) < 0) return number(info, -errno);
  auto names = Napi::Array::New(info.Env());
  std::vector<uint8_t> types;
  std::vector<int64_t> offsets;  // of the dots too, marked by their place among the names
  alignas(8) char buffer[65536];
  for (;;) {
    long got = syscall(SYS_getdents64, fd, buffer, sizeof buffer);
    if (got < 0) return number(info, -errno);
    if (got == 0) break;
    for (long at = 0; at < got;) {
      auto* entry = reinterpret_cast<linux_dirent64*>(buffer + at);
      at += entry->reclen;
      size_t length = strlen(entry->name);
      offsets.push_back(entry->off);
      offsets.push_back(static_cast<int64_t>(types.size()));
      if (entry->name[0] == '.' && (length == 1 || (length == 2 && entry->name[1] == '.'))) continue;
      offsets.back()++;
      names.Set(static_cast<uint32_t>(types.size()), bytes(info.Env(), entry->name, length));
      types.push_back(entry->type);
    }
  }
  auto typeArray = Napi::Uint8Array::New(info.Env(), types.size());
  if (!types.empty()) memcpy(typeArray.Data(), types.data(), types.size());
  auto out = Napi::Object::New(info.Env());
  out.Set("names", names);
  out.Set("types", typeArray);
  auto offsetArray = Napi::BigInt64Array::New(info.Env(), offsets.size());
  if (!offsets.empty()) memcpy(offsetArray.Data(), offsets.data(), offsets.size() * sizeof(int64_t));
  out.Set("offsets", offsetArray);
  return out;
}

/** File handle as hex: type, then bytes. Stable for an object of one filesystem, across mounts and boots. */
Napi::Value NameToHandle(Args info) {
  std::string path = bytesArg(info, 1);
  struct {
    file_handle head;
    uint8_t bytes[MAX_HANDLE_SZ];
  } handle{};
  handle.head.handle_bytes = MAX_HANDLE_SZ;
  int mountId;
  if (name_to_handle_at(intArg(info, 0), path.c_str(), &handle.head, &mountId, emptyPath(path)) < 0)
    return number(info, -errno);
  std::string hex;
  char digits[3];
  auto add = [&](uint8_t byte) {
    snprintf(digits, sizeof digits, "%02x", byte);
    hex += digits;
  };
  add(static_cast<uint8_t>(handle.head.handle_type));
  for (unsigned i = 0; i < handle.head.handle_bytes; i++) add(handle.bytes[i]);
  return bytes(info.Env(), hex.data(), hex.size());
}

Napi::Value CopyFlags(Args info) {
  copyFlags(intArg(info, 0), intArg(info, 1), info[2].ToBoolean().Value());
  return number(info, 0);
}

Napi::Value Protect(Args info) { return number(info, protect(intArg(info, 0), uintArg(info, 1))); }

Napi::Value CopyData(Args info) { return number(info, copyData(intArg(info, 0), intArg(info, 1), bigArg(info, 2))); }

Napi::Value Pwrite(Args info) {
  Span data = spanArg(info, 1);
  return result(info, pwrite(intArg(info, 0), data.data, data.size, bigArg(info, 2)));
}

Napi::Value Ftruncate(Args info) { return result(info, ftruncate(intArg(info, 0), bigArg(info, 1))); }
Napi::Value Fsync(Args info) { return result(info, fsync(intArg(info, 0))); }
Napi::Value Syncfs(Args info) { return result(info, syncfs(intArg(info, 0))); }

/** syncfs on one of libuv's threads: it may take as long as the disk. */
class Sync : public Napi::AsyncWorker {
 public:
  Sync(Napi::Env env, int fd) : AsyncWorker(env, "syncfs"), done_(Napi::Promise::Deferred::New(env)), fd_(fd) {}
  Napi::Promise promise() const { return done_.Promise(); }

 private:
  void Execute() override { result_ = syncfs(fd_) < 0 ? -errno : 0; }
  void OnOK() override { done_.Resolve(Napi::Number::New(Env(), result_)); }

  Napi::Promise::Deferred done_;
  int fd_;
  int result_ = 0;
};

Napi::Value SyncfsAsync(Args info) {
  // Deletes itself when it is done.
  auto* sync = new Sync(info.Env(), intArg(info, 0));
  sync->Queue();
  return sync->promise();
}

Napi::Value Flock(Args info) { return result(info, flock(intArg(info, 0), intArg(info, 1))); }
Napi::Value Umask(Args info) { return number(info, umask(uintArg(info, 0))); }

}  // namespace

void registerFileCalls(Napi::Env env, Napi::Object sys) {
  const struct {
    const char* name;
    Napi::Value (*call)(Args);
  } calls[] = {
      {"openat2", Openat2},       {"close", Close},       {"statx", Statx},
      {"mkdirat", Mkdirat},       {"mknodat", Mknodat},   {"symlinkat", Symlinkat},
      {"readlinkat", Readlinkat}, {"linkat", Linkat},     {"unlinkat", Unlinkat},
      {"renameat2", Renameat2},   {"fchownat", Fchownat}, {"fchmodat", Fchmodat},
      {"utimensat", Utimensat},   {"readdir", Readdir},   {"copyData", CopyData},
      {"copyFlags", CopyFlags},   {"pwrite", Pwrite},     {"ftruncate", Ftruncate},
      {"fsync", Fsync},           {"syncfs", Syncfs},     {"syncfsAsync", SyncfsAsync},
      {"flock", Flock},           {"umask", Umask},       {"nameToHandle", NameToHandle},
      {"protect", Protect},
  };
  for (const auto& entry : calls) sys.Set(entry.name, Napi::Function::New(env, entry.call, entry.name));
}

}  // namespace lamina
