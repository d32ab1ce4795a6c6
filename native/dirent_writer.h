// Packs directory entries into a READDIR or READDIRPLUS reply. Used by bypass ops and, through mount_object, by the
// union.
#pragma once

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <string_view>

#include "fuse_abi.h"

namespace lamina {

class DirentWriter {
 public:
  DirentWriter(uint8_t* out, size_t room, bool plus) : out_(out), room_(room), plus_(plus) {}

  /** Whether an entry with a name of this length still fits. */
  bool fits(size_t nameLength) const { return used_ + sizeFor(nameLength) <= room_; }

  /** Appends an entry; `fits` has been asked. In plus mode returns the zeroed entry part, to be filled or left. */
  EntryOut* add(std::string_view name, uint64_t ino, int64_t off, uint32_t type) {
    uint8_t* at = out_ + used_;
    size_t size = sizeFor(name.size());
    memset(at, 0, size);
    EntryOut* entry = plus_ ? reinterpret_cast<EntryOut*>(at) : nullptr;
    Dirent dirent{ino, static_cast<uint64_t>(off), static_cast<uint32_t>(name.size()), type};
    memcpy(at + (plus_ ? sizeof(EntryOut) : 0), &dirent, sizeof dirent);
    memcpy(at + (plus_ ? sizeof(EntryOut) : 0) + sizeof dirent, name.data(), name.size());
    used_ += size;
    return entry;
  }

  size_t used() const { return used_; }
  bool plus() const { return plus_; }

 private:
  size_t sizeFor(size_t nameLength) const {
    size_t size = sizeof(Dirent) + nameLength + (plus_ ? sizeof(EntryOut) : 0);
    return (size + 7) & ~size_t{7};
  }

  uint8_t* out_;
  size_t room_;
  size_t used_ = 0;
  bool plus_;
};

}  // namespace lamina
