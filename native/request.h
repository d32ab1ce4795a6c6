// One request from the kernel and the room for its reply. Ops read the body through checked accessors, write the
// payload at `out` and return its length; the loop writes the reply, once, and undoes lookup counts if that fails.
#pragma once

#include <limits.h>
#include <stdint.h>
#include <string.h>

#include <string_view>

#include "fuse_abi.h"
#include "mount.h"

namespace lamina {

// What an op returns beside a payload length (>= 0) and -errno.
constexpr int kNoReply = INT_MIN;         // FORGET and friends have none
constexpr int kDecide = INT_MIN + 1;      // TypeScript answers this request
constexpr int kNeedsUpper = INT_MIN + 2;  // `needsUpper` must be copied up first, then the op runs again
constexpr int kParked = -1000;  // the op runs again when `mount.offloads.awaited` has ended; TypeScript says it too

struct Request {
  Mount& mount;
  const InHeader& in;
  const uint8_t* body;
  size_t size;  // bytes of body
  uint8_t* out;
  size_t capacity;
  Node* needsUpper = nullptr;

  /** The fixed part of the body, or null when the request is too short. */
  template <typename T>
  const T* as() const {
    return size >= sizeof(T) ? reinterpret_cast<const T*>(body) : nullptr;
  }

  /** The NUL-terminated string at `offset`; empty when the request is too short or the NUL is missing. */
  std::string_view name(size_t offset) const {
    if (offset >= size) return {};
    const void* end = memchr(body + offset, 0, size - offset);
    if (!end) return {};
    return {reinterpret_cast<const char*>(body + offset),
            static_cast<size_t>(static_cast<const uint8_t*>(end) - (body + offset))};
  }

  template <typename T>
  T* reply() {
    memset(out, 0, sizeof(T));
    return reinterpret_cast<T*>(out);
  }

  /** The node named by the header, a moved one resolved to its successor; null when unknown. */
  Node* node() const {
    Node* found = asked();
    return found ? mount.live(found) : nullptr;
  }

  /** The node as the kernel knows it, which may have moved on. */
  Node* asked() const { return mount.nodes.find(in.nodeid); }

  /** The supplementary group that the kernel sent with a creation, or the caller's gid. */
  uint32_t group() const;
};

/**
 * Whether a request is whole: as long as it says, with its fixed part, with names that end in it and are one component
 * each. The kernel sends no other; one that did would read beyond the body or leave the layers. 0 or -errno.
 */
int checkRequest(const Request& request);

}  // namespace lamina
