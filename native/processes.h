// Calls for processes and their terminals: pipes, ends of processes that are not libuv's, console sockets.
#pragma once

#include "napi_args.h"

namespace lamina {

/** Main thread of the process that starts containers. */
void registerProcessCalls(Napi::Env env, Napi::Object sys);

}  // namespace lamina
