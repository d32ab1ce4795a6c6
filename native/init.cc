// The init of a container (`--init`): runs the command as its child, passes every signal on to it, reaps whatever comes
// to it, and ends as the command ends. A program of its own, linked statically: it runs in whatever root the container
// has.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr int kCannotRun = 126, kNotFound = 127, kBySignal = 128;
// What the program itself has done wrong is not to be passed on.
constexpr int kOwn[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS, SIGTTIN, SIGTTOU};

[[noreturn]] void runCommand(char** argv, const sigset_t& mask) {
  // A group of its own, in the foreground: what the terminal's keys send reaches it and not the init as well.
  setpgid(0, 0);
  tcsetpgrp(STDIN_FILENO, getpgrp());
  signal(SIGTTIN, SIG_DFL);
  signal(SIGTTOU, SIG_DFL);
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  execvp(argv[0], argv);
  const int code = errno;
  dprintf(STDERR_FILENO, "lamina-init: %s: %s\n", argv[0], strerror(code));
  _exit(code == ENOENT ? kNotFound : kCannotRun);
}

// The command's status once it has ended; -1 before.
int reap(pid_t command) {
  int found = -1;
  for (int status = 0;;) {
    const pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return found;
    if (pid == command) found = WIFSIGNALED(status) ? kBySignal + WTERMSIG(status) : WEXITSTATUS(status);
  }
}

}  // namespace

int main(int argc, char** argv) {
  char** command = argv + 1;
  if (argc > 1 && strcmp(*command, "--") == 0) ++command;
  if (*command == nullptr) return kCannotRun;
  sigset_t waited, before;
  sigfillset(&waited);
  for (int each : kOwn) sigdelset(&waited, each);
  sigprocmask(SIG_SETMASK, &waited, &before);
  signal(SIGTTIN, SIG_IGN);
  signal(SIGTTOU, SIG_IGN);
  const pid_t child = fork();
  if (child < 0) return kCannotRun;
  if (child == 0) runCommand(command, before);
  for (;;) {
    siginfo_t info;
    const int number = sigwaitinfo(&waited, &info);
    if (number < 0) continue;
    if (number != SIGCHLD) {
      kill(child, number);
      continue;
    }
    const int status = reap(child);
    if (status >= 0) return status;
  }
}
