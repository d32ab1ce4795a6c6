#include "processes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unique_fd.h"

namespace lamina {
namespace {

Napi::Value Pipe(Args info) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) < 0) return number(info, -errno);
  auto pair = Napi::Array::New(info.Env(), 2);
  for (uint32_t i = 0; i < 2; i++) pair.Set(i, Napi::Number::New(info.Env(), fds[i]));
  return pair;
}

Napi::Value BecomeSubreaper(Args info) { return result(info, prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)); }

/** One child, never all: libuv waits for its own. */
Napi::Value ReapChild(Args info) {
  int status = 0;
  pid_t pid = waitpid(intArg(info, 0), &status, WNOHANG);
  if (pid < 0) return number(info, -errno);
  if (pid == 0) return number(info, -EAGAIN);
  return number(info, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

Napi::Value ListenUnix(Args info) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string path = bytesArg(info, 0);
  if (path.size() >= sizeof address.sun_path) return number(info, -ENAMETOOLONG);
  memcpy(address.sun_path, path.c_str(), path.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return number(info, -errno);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 || listen(fd.get(), 1) < 0) {
    return number(info, -errno);
  }
  return number(info, fd.release());
}

Napi::Value AcceptUnix(Args info) {
  UniqueFd connection(accept4(intArg(info, 0), nullptr, nullptr, SOCK_CLOEXEC));
  if (connection.get() < 0) return number(info, -errno);
  return number(info, connection.release());
}

Napi::Value SetWindowSize(Args info) {
  winsize size{};
  size.ws_row = static_cast<unsigned short>(uintArg(info, 1));
  size.ws_col = static_cast<unsigned short>(uintArg(info, 2));
  return result(info, ioctl(intArg(info, 0), TIOCSWINSZ, &size));
}

}  // namespace

void registerProcessCalls(Napi::Env env, Napi::Object sys) {
  sys.Set("pipe", Napi::Function::New(env, Pipe, "pipe"));
  sys.Set("becomeSubreaper", Napi::Function::New(env, BecomeSubreaper, "becomeSubreaper"));
  sys.Set("reapChild", Napi::Function::New(env, ReapChild, "reapChild"));
  sys.Set("listenUnix", Napi::Function::New(env, ListenUnix, "listenUnix"));
  sys.Set("acceptUnix", Napi::Function::New(env, AcceptUnix, "acceptUnix"));
  sys.Set("setWindowSize", Napi::Function::New(env, SetWindowSize, "setWindowSize"));
}

}  // namespace lamina
