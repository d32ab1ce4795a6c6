// The fds around a mount that are not files: passing /dev/fuse over a socket, the wake-up eventfd. JS thread.
#pragma once

#include <napi.h>

namespace lamina {

/** Adds eventfd, socketpair and receiveFd to `sys`. */
void registerDeviceCalls(Napi::Env env, Napi::Object sys);

}  // namespace lamina
