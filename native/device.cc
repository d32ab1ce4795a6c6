#include "device.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "napi_args.h"

namespace lamina {
namespace {

Napi::Value Eventfd(Args info) { return result(info, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

/** As many fds as this process may have; returns that number, or -errno. */
Napi::Value RaiseNofile(Args info) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return number(info, -errno);
  rlimit raised{limit.rlim_max, limit.rlim_max};
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  return number(info, static_cast<double>(std::min<rlim_t>(limit.rlim_cur, 1 << 30)));
}

/** Two connected fds: a stream, or with a true argument a pair that keeps messages apart and never waits. */
Napi::Value Socketpair(Args info) {
  int fds[2];
  bool packets = info[0].IsBoolean() && info[0].As<Napi::Boolean>().Value();
  int type = packets ? SOCK_SEQPACKET | SOCK_NONBLOCK : SOCK_STREAM;
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) < 0) return number(info, -errno);
  auto out = Napi::Array::New(info.Env(), 2);
  out.Set(0u, number(info, fds[0]));
  out.Set(1u, number(info, fds[1]));
  return out;
}

/** The fd that the peer sends (SCM_RIGHTS), waiting for it; -errno, or -ENOTCONN when the peer closed without one. */
Napi::Value ReceiveFd(Args info) {
  char byte;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n;
  do {
    n = recvmsg(intArg(info, 0), &message, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return number(info, -errno);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (!header || header->cmsg_type != SCM_RIGHTS) return number(info, -ENOTCONN);
  int fd;
  memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return number(info, fd);
}

Napi::Value Dup2(Args info) { return result(info, dup2(intArg(info, 0), intArg(info, 1))); }
Napi::Value Setsid(Args info) { return result(info, setsid()); }

}  // namespace

void registerDeviceCalls(Napi::Env env, Napi::Object sys) {
  sys.Set("eventfd", Napi::Function::New(env, Eventfd, "eventfd"));
  sys.Set("raiseNofile", Napi::Function::New(env, RaiseNofile, "raiseNofile"));
  sys.Set("socketpair", Napi::Function::New(env, Socketpair, "socketpair"));
  sys.Set("dup2", Napi::Function::New(env, Dup2, "dup2"));
  sys.Set("setsid", Napi::Function::New(env, Setsid, "setsid"));
  sys.Set("receiveFd", Napi::Function::New(env, ReceiveFd, "receiveFd"));
}

}  // namespace lamina
