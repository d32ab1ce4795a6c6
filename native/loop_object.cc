#include "loop_object.h"

#include <errno.h>

#include "mount_object.h"
#include "napi_args.h"

namespace lamina {

LoopObject::LoopObject(Info info) : Napi::ObjectWrap<LoopObject>(info) {
  auto handler = info[0].As<Napi::Object>();
  request_ = Napi::Persistent(handler.Get("request").As<Napi::Uint8Array>());
  reply_ = Napi::Persistent(handler.Get("reply").As<Napi::Uint8Array>());
  decide_ = Napi::Persistent(handler.Get("decide").As<Napi::Function>());
  copyUp_ = Napi::Persistent(handler.Get("copyUp").As<Napi::Function>());
  tidy_ = Napi::Persistent(handler.Get("tidy").As<Napi::Function>());
  ended_ = Napi::Persistent(handler.Get("ended").As<Napi::Function>());
  auto request = request_.Value(), reply = reply_.Value();
  loop_ = std::make_unique<Loop>(handler.Get("wakeFd").ToNumber().Int32Value(), request.Data(), request.ByteLength(),
                                 reply.Data(), reply.ByteLength());
}

Napi::Value LoopObject::add(Info info) {
  auto object = info[1].As<Napi::Object>();
  auto* wrapped = MountObject::Unwrap(object);
  int done = loop_->error() ? -loop_->error() : loop_->add(intArg(info, 0), &wrapped->mount());
  if (done == 0) mounts_[intArg(info, 0)] = Napi::Persistent(object);
  return number(info, done);
}

Napi::Value LoopObject::remove(Info info) {
  loop_->remove(intArg(info, 0));
  mounts_.erase(intArg(info, 0));
  return info.Env().Undefined();
}

Napi::Value LoopObject::run(Info info) {
  loop_->run(*this);
  return info.Env().Undefined();
}

int LoopObject::call(const Napi::FunctionReference& function, std::initializer_list<napi_value> arguments) {
  Napi::Value answer = function.Call(arguments);
  if (Env().IsExceptionPending()) {
    Env().GetAndClearPendingException();  // the handler logs its own; this is the last net
    return -EIO;
  }
  return answer.IsNumber() ? answer.As<Napi::Number>().Int32Value() : -EIO;
}

int LoopObject::decide(int mount, const InHeader& in) {
  Napi::HandleScope scope(Env());
  return call(decide_, {Napi::Number::New(Env(), mount), Napi::Number::New(Env(), in.opcode),
                        Napi::Number::New(Env(), static_cast<double>(in.nodeid)), Napi::Number::New(Env(), in.len)});
}

int LoopObject::copyUp(int mount, uint64_t nodeid, int64_t length) {
  Napi::HandleScope scope(Env());
  return call(copyUp_, {Napi::Number::New(Env(), mount), Napi::Number::New(Env(), static_cast<double>(nodeid)),
                        Napi::BigInt::New(Env(), length)});
}

void LoopObject::tidy(int mount) {
  Napi::HandleScope scope(Env());
  call(tidy_, {Napi::Number::New(Env(), mount)});
}

void LoopObject::ended(int mount) {
  Napi::HandleScope scope(Env());
  call(ended_, {Napi::Number::New(Env(), mount)});
  mounts_.erase(mount);
}

Napi::Function LoopObject::define(Napi::Env env) {
  return DefineClass(env, "Loop",
                     {
                         InstanceMethod<&LoopObject::add>("add"),
                         InstanceMethod<&LoopObject::remove>("remove"),
                         InstanceMethod<&LoopObject::run>("run"),
                     });
}

}  // namespace lamina
