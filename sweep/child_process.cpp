#include "sweep/child_process.h"

#include <c10/util/Exception.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <fstream>
#include <thread>

#include "core/error.h"

namespace softmoe {
namespace {

constexpr std::chrono::milliseconds kPollInterval{20};

}  // namespace

ChildProcess::ChildProcess(std::vector<std::string> argv, const std::filesystem::path& log) {
  TORCH_CHECK_VALUE(!argv.empty(), "ChildProcess: expected a program");
  std::filesystem::create_directories(log.parent_path());
  const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) {
    throw InputError(log.string(), "a file that can be written", system_error_text(errno));
  }
  // Memory is allocated before fork(): between fork() and exec, a child of a process with threads
  // must not.
  std::vector<char*> argv_pointers;
  for (auto& argument : argv) {
    argv_pointers.push_back(argument.data());
  }
  argv_pointers.push_back(nullptr);
  id_ = ::fork();
  if (id_ == 0) {
    // In its own process group, so that Ctrl-C on the terminal reaches only the parent, which
    // passes it on once.
    ::setpgid(0, 0);
    ::dup2(file, STDOUT_FILENO);
    ::dup2(file, STDERR_FILENO);
    ::execv(argv_pointers.front(), argv_pointers.data());
    ::_exit(127);
  }
  ::close(file);
  if (id_ < 0) {
    throw InputError("a child process", "to start", system_error_text(errno));
  }
}

void ChildProcess::interrupt() const { ::kill(id_, SIGINT); }

ChildExit wait_for_child(const std::function<bool()>& stop) {
  int status = 0;
  pid_t id = ::waitpid(-1, &status, stop ? WNOHANG : 0);
  while (id == 0 || (id < 0 && errno == EINTR)) {
    if (stop && stop()) {
      return {};
    }
    std::this_thread::sleep_for(stop ? kPollInterval : std::chrono::milliseconds(0));
    id = ::waitpid(-1, &status, stop ? WNOHANG : 0);
  }
  if (id < 0) {
    return {};
  }
  return {.id = id, .code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)};
}

std::string last_line(const std::filesystem::path& log) {
  std::ifstream file(log);
  std::string last;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) {
      last = line;
    }
  }
  return last;
}

}  // namespace softmoe
