// Backing ids where there is no /dev/fuse: preloaded into the fuzzer's driver, it gives out and takes back ids as the
// kernel does (Linux: fs/fuse/backing.c), aborts when one is closed that is not open, and keeps the number of open ids
// in the first 4 bytes of the file that LAMINA_FUZZ_BACKING names.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BACKING_OPEN = 0x4010E501, BACKING_CLOSE = 0x4004E502, MOST = 1 << 20 };

struct backing_map {
  int32_t fd;
  uint32_t flags;
  uint64_t padding;
};

static uint8_t open_ids[MOST];
static int32_t last;

static volatile int32_t *count(void) {
  static volatile int32_t *mapped;
  if (mapped) return mapped;
  int fd = open(getenv("LAMINA_FUZZ_BACKING"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, 4096) < 0) abort();
  mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) abort();
  close(fd);
  *mapped = 0;
  return mapped;
}

static int open_id(const struct backing_map *map) {
  struct stat st;
  if (fstat(map->fd, &st) < 0) return -1;
  errno = S_ISREG(st.st_mode) ? 0 : EISDIR;
  if (errno) return -1;
  if (++last >= MOST) abort();
  open_ids[last] = 1;
  ++*count();
  return last;
}

static int close_id(uint32_t id) {
  if (id == 0 || id >= MOST || !open_ids[id]) {
    fprintf(stderr, "backing id %u closed though it is not open\n", id);
    abort();
  }
  open_ids[id] = 0;
  --*count();
  return 0;
}

int ioctl(int fd, unsigned long request, ...) {
  va_list rest;
  va_start(rest, request);
  void *argument = va_arg(rest, void *);
  va_end(rest);
  if (request == BACKING_OPEN) return open_id(argument);
  if (request == BACKING_CLOSE) return close_id(*(uint32_t *)argument);
  int (*next)(int, unsigned long, ...) = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
  return next(fd, request, argument);
}
