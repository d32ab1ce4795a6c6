// Copying a regular file's data with its holes: the data half of copy-up and of filling a volume.
#pragma once

#include <stdint.h>

#include <atomic>

namespace lamina {

/**
 * Copies the first `length` bytes of `src` (all of it when negative) to the empty file `dst`, keeping holes.
 * FICLONE for a whole file, else copy_file_range per data extent, else read and write.
 * `stop` set by another thread ends it with -EINTR. Returns 0 or -errno; on failure `dst` holds a part. Any thread.
 */
int copyData(int src, int dst, int64_t length, const std::atomic<bool>* stop = nullptr);

/** Gives `dst` the inode flags of `src` that stand in no one's way (chattr A, d, D, S), where they can be had; with
 * `append` also a, which keeps it from getting further names. */
void copyFlags(int src, int dst, bool append);

/** Makes an open object immutable (FS_IMMUTABLE_FL) or append-only (FS_APPEND_FL) or neither. What it was, or -errno.
 */
int protect(int fd, uint32_t flags);

}  // namespace lamina
