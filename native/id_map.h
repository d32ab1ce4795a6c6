// Owners as the disk has them and as the mount shows them: the uidmapping, gidmapping and squash options of
// fuse-overlayfs. Applies to the union; a route shows its files as they are.
#pragma once

#include <stdint.h>

#include <vector>

namespace lamina {

constexpr uint32_t kOverflowId = 65534;  // Linux: DEFAULT_OVERFLOWUID
constexpr uint32_t kNoId = UINT32_MAX;

class IdMap {
 public:
  struct Range {
    uint32_t disk, shown, count;
  };

  void add(const Range& range) { ranges_.push_back(range); }
  /** Everything is shown as this id, whatever the ranges say. */
  void squashTo(uint32_t id) { squash_ = id; }

  uint32_t shown(uint32_t disk) const {
    if (squash_ != kNoId) return squash_;
    for (const Range& range : ranges_) {
      if (disk - range.disk < range.count) return range.shown + (disk - range.disk);
    }
    return ranges_.empty() ? disk : kOverflowId;
  }

  uint32_t disk(uint32_t shown) const {
    for (const Range& range : ranges_) {
      if (shown - range.shown < range.count) return range.disk + (shown - range.shown);
    }
    return ranges_.empty() ? shown : kOverflowId;
  }

 private:
  std::vector<Range> ranges_;
  uint32_t squash_ = kNoId;
};

}  // namespace lamina
