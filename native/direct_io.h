// Reads and writes of relayed files, past the page cache where the client asks for that (O_DIRECT). Our own fd is never
// left so: the kernel sends pages of maps through the same handle, whose last one is as short as the file. What is not
// aligned is judged by the filesystem below, except for the client's memory, of which we learn nothing. Loop thread
// only.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

namespace lamina {

/** Makes later calls on `fd` direct, or not. 0 or -errno. */
int setDirect(int fd, bool direct);

/** pread(2) by a client whose open file has `flags`. Bytes or -errno. */
ssize_t readFor(int fd, uint8_t* to, size_t size, off_t offset, uint32_t flags);

/** pwrite(2) by the same. */
ssize_t writeFor(int fd, const uint8_t* from, size_t size, off_t offset, uint32_t flags);

}  // namespace lamina
