#include "caller.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>

namespace lamina {
namespace {

std::string procFile(uint32_t pid, const char* name) { return "/proc/" + std::to_string(pid) + "/" + name; }

std::string userNamespace(const std::string& link) {
  char target[64];
  ssize_t n = readlink(link.c_str(), target, sizeof target);
  return n > 0 ? std::string(target, n) : std::string();
}

// Numbers of this machine and, on x86, of its 32-bit callers; what the latter mean to a 64-bit caller (putpmsg,
// lremovexattr, io_getevents, lookup_dcookie, perf_event_open, ioctl, umask) sends no SETATTR.
constexpr long kOwnerCalls[] = {
#ifdef SYS_chown
    SYS_chown,  SYS_lchown,
#endif
    SYS_fchown, SYS_fchownat,
#ifdef __x86_64__
    16,         95,           182, 198, 207, 212, 298,
#endif
};
constexpr std::string_view kFirstUserNamespace = "user:[4026531837]";  // Linux: PROC_USER_INIT_INO
constexpr long kX32Bit = 0x40000000;

}  // namespace

Caller::Caller(const InHeader& in) : in_(in) { readStatus(); }

void Caller::readStatus() {
  std::ifstream status(procFile(in_.pid, "status"));
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("Groups:", 0) == 0) {
      std::istringstream numbers(line.substr(7));
      groups_.assign(std::istream_iterator<uint32_t>(numbers), {});
    } else if (line.rfind("SigPnd:", 0) == 0 || line.rfind("ShdPnd:", 0) == 0) {
      // A signal that ends a process is SIGKILL to each of its threads (Linux: complete_signal).
      dying_ = dying_ || ((strtoull(line.c_str() + 7, nullptr, 16) >> (SIGKILL - 1)) & 1);
    } else if (line.rfind("CapEff:", 0) == 0) {
      effective_ = strtoull(line.c_str() + 7, nullptr, 16);
      known_ = true;
      break;
    }
  }
  if (!known_) return;
  std::string own = userNamespace(procFile(in_.pid, "ns/user"));
  // Capabilities in a user namespace of its own do not count here (Linux: capable_wrt_inode_uidgid).
  if (own != userNamespace("/proc/self/ns/user")) effective_ = 0;
  everywhere_ = own == kFirstUserNamespace;
}

bool Caller::inGroup(uint32_t gid) const {
  return in_.gid == gid || std::find(groups_.begin(), groups_.end(), gid) != groups_.end();
}

bool Caller::has(int capability) const { return known_ ? (effective_ >> capability) & 1 : in_.uid == 0; }

bool Caller::changesOwner() const {
  // "running" until the thread has gone to sleep, which it does as soon as it has sent us the request.
  constexpr int kSpins = 100, kTries = 2000;
  for (int tries = 0; tries < kTries; tries++) {
    if (tries > kSpins) usleep(50);
    std::ifstream file(procFile(in_.pid, "syscall"));
    std::string word;
    if (!(file >> word)) return false;
    if (word == "running") continue;
    long number = strtol(word.c_str(), nullptr, 10) & ~kX32Bit;
    return std::find(std::begin(kOwnerCalls), std::end(kOwnerCalls), number) != std::end(kOwnerCalls);
  }
  return false;
}

}  // namespace lamina
