// Registration of the addon: what JavaScript can reach. Nothing here is shared between environments.

#include <napi.h>

#include "device.h"
#include "loop_object.h"
#include "mount_object.h"
#include "processes.h"
#include "syscalls.h"

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  auto sys = Napi::Object::New(env);
  lamina::registerFileCalls(env, sys);
  lamina::registerXattrAndMountCalls(env, sys);
  lamina::registerDeviceCalls(env, sys);
  lamina::registerProcessCalls(env, sys);
  exports.Set("sys", sys);
  exports.Set("Mount", lamina::MountObject::define(env));
  exports.Set("Loop", lamina::LoopObject::define(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)
