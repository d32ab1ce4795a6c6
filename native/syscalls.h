// The `sys` object: system calls on directory fds, one to one. Types and meaning: src/native/syscalls.ts.
#pragma once

#include <napi.h>
#include <sys/stat.h>

namespace lamina {

/** Adds the calls on files and directories to `sys`. JS thread. */
void registerFileCalls(Napi::Env env, Napi::Object sys);

/** Adds the xattr, mount and whole-filesystem calls to `sys`. JS thread. */
void registerXattrAndMountCalls(Napi::Env env, Napi::Object sys);

}  // namespace lamina
