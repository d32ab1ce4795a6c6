// Reading arguments and naming functions at the JavaScript boundary. Numbers, latin1 strings (bytes) and
// typed arrays only; TypeScript has validated them, a wrong type here reads as zero or empty.
#pragma once

#include <napi.h>

#include <string>

namespace lamina {

using Args = const Napi::CallbackInfo&;

inline int32_t intArg(Args info, size_t i) { return info[i].IsNumber() ? info[i].As<Napi::Number>().Int32Value() : 0; }
inline uint32_t uintArg(Args info, size_t i) {
  return info[i].IsNumber() ? info[i].As<Napi::Number>().Uint32Value() : 0;
}

/** A count or nodeid that fits a double exactly. */
inline uint64_t idArg(Args info, size_t i) {
  return info[i].IsNumber() ? static_cast<uint64_t>(info[i].As<Napi::Number>().DoubleValue()) : 0;
}

inline int64_t bigArg(Args info, size_t i) {
  if (!info[i].IsBigInt()) return 0;
  bool lossless = false;
  return info[i].As<Napi::BigInt>().Int64Value(&lossless);
}

inline std::string bytesArg(Args info, size_t i) {
  if (!info[i].IsString()) return {};
  char small[256];
  size_t length = 0;
  if (napi_get_value_string_latin1(info.Env(), info[i], small, sizeof small, &length) != napi_ok) return {};
  if (length < sizeof small - 1) return std::string(small, length);
  if (napi_get_value_string_latin1(info.Env(), info[i], nullptr, 0, &length) != napi_ok) return {};
  std::string text(length, '\0');
  if (napi_get_value_string_latin1(info.Env(), info[i], text.data(), length + 1, &length) != napi_ok) return {};
  return text;
}

struct Span {
  uint8_t* data = nullptr;
  size_t size = 0;
};

inline Span spanArg(Args info, size_t i) {
  if (!info[i].IsTypedArray()) return {};
  auto array = info[i].As<Napi::TypedArray>();
  return {static_cast<uint8_t*>(array.ArrayBuffer().Data()) + array.ByteOffset(), array.ByteLength()};
}

inline Napi::Value number(Args info, double value) { return Napi::Number::New(info.Env(), value); }

inline Napi::Value bytes(Napi::Env env, const char* data, size_t size) {
  napi_value value = nullptr;
  if (napi_create_string_latin1(env, data, size, &value) != napi_ok) return env.Undefined();
  return Napi::Value(env, value);
}

/** The result of a system call as JavaScript sees it: value, or -errno. */
inline Napi::Value result(Args info, long value) { return number(info, value < 0 ? -errno : value); }

}  // namespace lamina
