// The load generator of the bench: one short-lived process per sample, so that no figure contains Node's own time.
// bench/load.ts compiles it and runs it; each subcommand prints one JSON line {"op","n","ns"[,...]} and exits 0,
// or explains on stderr and exits 1 when the file system answered anything but what the subcommand expects.
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

extern char **environ;

namespace {

using Args = std::vector<std::string>;

[[noreturn]] void fail(const std::string &what, int error = errno) {
  fprintf(stderr, "load: %s: %s\n", what.c_str(), strerror(error));
  exit(1);
}

uint64_t now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return uint64_t(t.tv_sec) * 1000000000u + uint64_t(t.tv_nsec);
}

void report(const char *op, uint64_t n, uint64_t ns) {
  printf("{\"op\":\"%s\",\"n\":%llu,\"ns\":%llu}\n", op, (unsigned long long)n, (unsigned long long)ns);
}

uint64_t number(const std::string &text) {
  char *end = nullptr;
  uint64_t value = strtoull(text.c_str(), &end, 10);
  if (text.empty() || *end) fail("not a number: " + text, EINVAL);
  return value;
}

class Fd {
 public:
  Fd(const std::string &path, int flags, mode_t mode = 0644) : fd_(open(path.c_str(), flags | O_CLOEXEC, mode)) {
    if (fd_ < 0) fail("open " + path);
  }
  ~Fd() { close(fd_); }
  Fd(const Fd &) = delete;
  Fd &operator=(const Fd &) = delete;
  operator int() const { return fd_; }

 private:
  int fd_;
};

std::string nth(const std::string &prefix, uint64_t i) { return prefix + std::to_string(i); }

// Names are formatted before the clock starts: only the system calls are timed.
std::vector<std::string> numbered(const std::string &prefix, uint64_t n) {
  std::vector<std::string> names;
  names.reserve(n);
  for (uint64_t i = 0; i < n; i++) names.push_back(nth(prefix, i));
  return names;
}

std::vector<std::string> entriesOf(const std::string &path) {
  DIR *dir = opendir(path.c_str());
  if (!dir) fail("opendir " + path);
  std::vector<std::string> names;
  errno = 0;
  while (dirent *entry = readdir(dir)) {
    std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno) fail("readdir " + path);
  closedir(dir);
  return names;
}

// DIR PREFIX MS: MS/2 milliseconds unreported, in which the scheduler finds its place for client and server, then MS.
void miss(const Args &a) {
  Fd dir(a.at(0), O_RDONLY | O_DIRECTORY);
  uint64_t limit = number(a.at(2)) * 1000000u;
  auto names = numbered(a.at(1), 1 << 19);
  struct stat st;
  uint64_t first = 0, i = 0, began = now(), start = began, spent = 0;
  for (; i < names.size() && (first == 0 || spent < limit); i++) {
    if (fstatat(dir, names[i].c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
      fail("expected ENOENT: " + names[i]);
    uint64_t t = now();
    spent = t - start;
    if (first == 0 && t - began > limit / 2) first = i + 1, start = t, spent = 0;
  }
  if (first == 0) fail("too few names for the warm-up", ERANGE);
  report("miss", i - first, spent);
}

void hit(const Args &a) {  // DIR N PREFIX: stats without listing first, which might fetch attributes
  Fd dir(a.at(0), O_RDONLY | O_DIRECTORY);
  auto names = numbered(a.at(2), number(a.at(1)));
  struct stat st;
  uint64_t start = now();
  for (const auto &name : names)
    if (fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW)) fail("stat " + name);
  report("hit", names.size(), now() - start);
}

void openClose(const Args &a) {  // FILE N
  uint64_t n = number(a.at(1));
  uint64_t start = now();
  for (uint64_t i = 0; i < n; i++) Fd file(a.at(0), O_RDONLY);
  report("openclose", n, now() - start);
}

void create(const Args &a) {  // DIR N PREFIX
  Fd dir(a.at(0), O_RDONLY | O_DIRECTORY);
  auto names = numbered(a.at(2), number(a.at(1)));
  uint64_t start = now();
  for (const auto &name : names) {
    int fd = openat(dir, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) fail("create " + name);
    close(fd);
  }
  report("create", names.size(), now() - start);
}

void unlinkAll(const Args &a) {  // DIR N PREFIX
  Fd dir(a.at(0), O_RDONLY | O_DIRECTORY);
  auto names = numbered(a.at(2), number(a.at(1)));
  uint64_t start = now();
  for (const auto &name : names)
    if (unlinkat(dir, name.c_str(), 0)) fail("unlink " + name);
  report("unlink", names.size(), now() - start);
}

void readDir(const Args &a) {  // DIR
  uint64_t start = now();
  auto names = entriesOf(a.at(0));
  report("readdir", names.size(), now() - start);
}

void makeFiles(const Args &a) {  // DIR DIRS FILES: DIRS directories of FILES empty files each
  uint64_t dirs = number(a.at(1)), files = number(a.at(2));
  uint64_t start = now();
  for (uint64_t d = 0; d < dirs; d++) {
    std::string path = nth(a.at(0) + "/d", d);
    if (mkdir(path.c_str(), 0755)) fail("mkdir " + path);
    for (uint64_t f = 0; f < files; f++) Fd file(nth(path + "/f", f), O_WRONLY | O_CREAT | O_EXCL);
  }
  report("mkfiles", dirs * files, now() - start);
}

// ---- reads and writes of an open file

uint64_t mix(uint64_t x) {  // splitmix64
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// The content at `offset` of a file made with `seed`, recomputable anywhere: verify needs no copy of the file.
void pattern(char *buffer, size_t length, uint64_t offset, uint64_t seed) {
  for (size_t i = 0; i < length; i += 8) {
    uint64_t word = mix((offset + i) ^ (seed << 48));
    memcpy(buffer + i, &word, 8);
  }
}

uint64_t block(uint64_t i, uint64_t blocks) { return mix(i) % blocks; }

void fill(const Args &a) {  // FILE SIZE SEED
  Fd file(a.at(0), O_RDWR | O_CREAT);
  uint64_t size = number(a.at(1)), seed = number(a.at(2));
  std::vector<char> buffer(1 << 17);
  uint64_t start = now();
  for (uint64_t at = 0; at < size; at += buffer.size()) {
    pattern(buffer.data(), buffer.size(), at, seed);
    if (pwrite(file, buffer.data(), buffer.size(), off_t(at)) != ssize_t(buffer.size())) fail("write " + a.at(0));
  }
  report("fill", size, now() - start);
}

void scribble(const Args &a) {  // FILE SIZE SEED BS N: N blocks at known places, in a pattern verify can recompute
  Fd file(a.at(0), O_RDWR);
  uint64_t size = number(a.at(1)), seed = number(a.at(2)), bs = number(a.at(3)), n = number(a.at(4));
  std::vector<char> buffer(bs);
  uint64_t start = now();
  for (uint64_t i = 0; i < n; i++) {
    uint64_t at = block(i, size / bs) * bs;
    pattern(buffer.data(), bs, at, seed);
    if (pwrite(file, buffer.data(), bs, off_t(at)) != ssize_t(bs)) fail("write " + a.at(0));
  }
  report("scribble", n, now() - start);
}

void verify(const Args &a) {  // FILE SIZE SEED [SEED2 BS N]: what fill, then scribble, left behind
  Fd file(a.at(0), O_RDONLY);
  uint64_t size = number(a.at(1)), seed = number(a.at(2));
  bool scribbled = a.size() > 3;
  uint64_t seed2 = scribbled ? number(a.at(3)) : 0, bs = scribbled ? number(a.at(4)) : 4096;
  std::unordered_set<uint64_t> changed;
  for (uint64_t i = 0, n = scribbled ? number(a.at(5)) : 0; i < n; i++) changed.insert(block(i, size / bs));
  struct stat st;
  if (fstat(file, &st)) fail("fstat " + a.at(0));
  if (uint64_t(st.st_size) != size) fail("wrong size of " + a.at(0), EIO);
  std::vector<char> got(bs), want(bs);
  uint64_t start = now();
  for (uint64_t at = 0; at < size; at += bs) {
    pattern(want.data(), bs, at, changed.count(at / bs) ? seed2 : seed);
    if (pread(file, got.data(), bs, off_t(at)) != ssize_t(bs)) fail("read " + a.at(0));
    if (memcmp(got.data(), want.data(), bs)) fail("wrong content of " + a.at(0) + " at " + std::to_string(at), EIO);
  }
  report("verify", size, now() - start);
}

// FILE SIZE BS MS: opens, reads all once to warm the page cache, then works for MS milliseconds. `n` is operations.
void transfer(const char *op, const Args &a, bool write, bool random) {
  Fd file(a.at(0), write ? O_RDWR : O_RDONLY);
  uint64_t size = number(a.at(1)), bs = number(a.at(2)), limit = number(a.at(3)) * 1000000u, blocks = size / bs;
  std::vector<char> warm(1 << 20), buffer(bs, 'l');
  for (uint64_t at = 0; at < size; at += warm.size())
    if (pread(file, warm.data(), warm.size(), off_t(at)) <= 0) fail("warming " + a.at(0));
  uint64_t every = bs >= 65536 ? 1 : 16, n = 0, start = now(), spent = 0;
  do {
    for (uint64_t i = 0; i < every; i++, n++) {
      off_t at = off_t((random ? block(n, blocks) : n % blocks) * bs);
      ssize_t done = write ? pwrite(file, buffer.data(), bs, at) : pread(file, buffer.data(), bs, at);
      if (done != ssize_t(bs)) fail(std::string(op) + " " + a.at(0), done < 0 ? errno : EIO);
    }
  } while ((spent = now() - start) < limit);
  report(op, n, spent);
}

// ---- other programs

// stdout is /dev/null: the pipe to the bench is for our own line, and a server left behind must not hold it.
pid_t spawn(const Args &command) {
  std::vector<char *> argv;
  for (const auto &arg : command) argv.push_back(const_cast<char *>(arg.c_str()));
  argv.push_back(nullptr);
  pid_t pid = 0;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  int error = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error) fail("start " + command.at(0), error);
  return pid;
}

void expectExit0(int status, const Args &command) {
  if (!WIFEXITED(status) || WEXITSTATUS(status))
    fail(command.at(0) + " failed, wait status " + std::to_string(status), ECHILD);
}

void run(const Args &command) {  // CMD...: from start to exit 0
  uint64_t start = now();
  int status = 0;
  if (waitpid(spawn(command), &status, 0) < 0) fail("wait");
  uint64_t spent = now() - start;
  expectExit0(status, command);
  report("run", 1, spent);
}

// FILE CMD...: from start of a mount command to the first stat of FILE that succeeds ("ns") and to its exit
// ("exit_ns").
void mountTime(const Args &a) {
  Args command(a.begin() + 1, a.end());
  struct stat st;
  if (stat(a.at(0).c_str(), &st) == 0) fail(a.at(0) + " is there before the mount", EEXIST);
  uint64_t start = now(), seen = 0, exited = 0, deadline = start + 30'000'000'000u;
  pid_t pid = spawn(command);
  while (!seen || !exited) {
    if (!seen && stat(a.at(0).c_str(), &st) == 0) seen = now() - start;
    int status = 0;
    if (!exited && waitpid(pid, &status, WNOHANG) == pid) {
      exited = now() - start;
      expectExit0(status, command);
    }
    if (now() > deadline) fail("mounted, but not usable within 30 s", ETIMEDOUT);
    timespec pause{0, 200'000};
    if (!seen || !exited) nanosleep(&pause, nullptr);
  }
  printf("{\"op\":\"mounttime\",\"n\":1,\"ns\":%llu,\"exit_ns\":%llu}\n", (unsigned long long)seen,
         (unsigned long long)exited);
}

void spin(const Args &a) {  // CPU: keeps one core busy at idle priority until killed; dies with its parent
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sched_param param{};
  if (sched_setscheduler(0, SCHED_IDLE, &param)) fail("SCHED_IDLE");
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(number(a.at(0)), &cpus);
  if (sched_setaffinity(0, sizeof cpus, &cpus)) fail("pin to cpu " + a.at(0));
  puts("{\"op\":\"spin\",\"n\":0,\"ns\":0}");
  fflush(stdout);
  for (volatile uint64_t i = 0;; i = i + 1) {
  }
}

struct Command {
  const char *name;
  size_t arguments;  // at least
  void (*start)(const Args &);
};

const Command commands[] = {
    {"miss", 3, miss},
    {"hit", 3, hit},
    {"openclose", 2, openClose},
    {"create", 3, create},
    {"unlink", 3, unlinkAll},
    {"readdir", 1, readDir},
    {"mkfiles", 3, makeFiles},
    {"fill", 3, fill},
    {"scribble", 5, scribble},
    {"verify", 3, verify},
    {"seqread", 4, [](const Args &a) { transfer("seqread", a, false, false); }},
    {"seqwrite", 4, [](const Args &a) { transfer("seqwrite", a, true, false); }},
    {"randread", 4, [](const Args &a) { transfer("randread", a, false, true); }},
    {"randwrite", 4, [](const Args &a) { transfer("randwrite", a, true, true); }},
    {"run", 1, run},
    {"mounttime", 2, mountTime},
    {"spin", 1, spin},
};

}  // namespace

int main(int argc, char **argv) {
  Args args(argv + (argc < 2 ? argc : 2), argv + argc);
  for (const Command &command : commands) {
    if (argc < 2 || strcmp(command.name, argv[1])) continue;
    if (args.size() < command.arguments) fail(std::string("too few arguments: ") + argv[1], EINVAL);
    command.start(args);
    return 0;
  }
  fail(argc < 2 ? "no subcommand" : std::string("unknown subcommand ") + argv[1], EINVAL);
}
