// The JavaScript face of the serving loop: `new Loop(handler)`. Types: src/native/mount.ts. One per worker.
#pragma once

#include <napi.h>

#include <memory>
#include <unordered_map>

#include "loop.h"

namespace lamina {

class LoopObject : public Napi::ObjectWrap<LoopObject>, private Decisions {
 public:
  static Napi::Function define(Napi::Env env);
  explicit LoopObject(const Napi::CallbackInfo& info);

 private:
  using Info = const Napi::CallbackInfo&;
  Napi::Value add(Info info);
  Napi::Value remove(Info info);
  Napi::Value run(Info info);

  int decide(int mount, const InHeader& in) override;
  int copyUp(int mount, uint64_t nodeid, int64_t length) override;
  void tidy(int mount) override;
  void ended(int mount) override;
  int call(const Napi::FunctionReference& function, std::initializer_list<napi_value> arguments);

  Napi::Reference<Napi::Uint8Array> request_, reply_;
  Napi::FunctionReference decide_, copyUp_, tidy_, ended_;
  std::unordered_map<int, Napi::ObjectReference> mounts_;  // keeps each served Mount alive
  std::unique_ptr<Loop> loop_;
};

}  // namespace lamina
