// lamina-alone FIRST PARENT PROGRAM [ARG...]: runs a program without the descriptors that its starter happened to have
// open from FIRST on, since not all that a process opens is close-on-exec (LevelDB's files are not), and a descriptor
// of the host is a way out of a container (CVE-2024-21626). Unless PARENT is 0, the program dies when that process,
// which must have started us, does.
#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

int fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  return errno == ENOENT ? 127 : 126;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return fprintf(stderr, "usage: lamina-alone FIRST PARENT PROGRAM [ARG...]\n"), 2;
  auto first = static_cast<unsigned>(atoi(argv[1]));
  pid_t parent = atoi(argv[2]);
  if (parent != 0) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return fail("prctl");
    // It died before the kernel knew.
    if (getppid() != parent) return 1;
  }
  // The raw call: the libraries of older systems do not have it.
  if (syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC) < 0) return fail("close_range");
  execvp(argv[3], argv + 3);
  return fail(argv[3]);
}
