// The fds around a mount that are not files: passing /dev/fuse over a socket, the wake-up eventfd, leaving the
// terminal. JS thread.
#pragma once

#include <napi.h>

namespace lamina {

/** Adds eventfd, socketpair, receiveFd, dup2 and setsid to `sys`. */
void registerDeviceCalls(Napi::Env env, Napi::Object sys);

}  // namespace lamina
