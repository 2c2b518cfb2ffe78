#include "support/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "core/split_text.h"

namespace softmoe::test {
namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
  int read_end = -1;
  int write_end = -1;
};

Pipe open_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw std::runtime_error(std::string("cannot open a pipe: ") + std::strerror(errno));
  }
  return {.read_end = ends[0], .write_end = ends[1]};
}

std::vector<std::string> environment_entries(const std::map<std::string, std::string>& changes) {
  std::vector<std::string> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!changes.contains(text.substr(0, text.find('=')))) {
      entries.push_back(text);
    }
  }
  for (const auto& [name, value] : changes) {
    std::string entry = name;
    entries.push_back(entry.append("=").append(value));
  }
  return entries;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (auto& text : texts) {
    result.push_back(text.data());
  }
  result.push_back(nullptr);
  return result;
}

/// Becomes the program, with only such calls as are safe in a copy of a process with threads.
[[noreturn]] void become_program(char* const* arguments, char* const* environment, int input,
                                 int output, int error, const ProgramSetting& setting) {
  ::dup2(input, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(error, STDERR_FILENO);
  if (setting.file_size_limit) {
    const rlimit limit{.rlim_cur = *setting.file_size_limit, .rlim_max = *setting.file_size_limit};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    // The write then fails as on a full disk; otherwise a signal would end the program.
    ::signal(SIGXFSZ, SIG_IGN);
  }
  if (setting.memory_limit) {
    const rlimit limit{.rlim_cur = *setting.memory_limit, .rlim_max = *setting.memory_limit};
    ::setrlimit(RLIMIT_DATA, &limit);
  }
  ::execve(arguments[0], arguments, environment);
  ::_exit(126);
}

void write_all(int file, const std::string& text) {
  size_t written = 0;
  while (written < text.size()) {
    const auto count = ::write(file, text.data() + written, text.size() - written);
    if (count <= 0) {
      return;  // the program does not read it
    }
    written += static_cast<size_t>(count);
  }
}

/// Reads the program's output until it closes both pipes; interrupts or kills it if `setting` asks.
void listen(pid_t child, int output, int error, const ProgramSetting& setting, ProgramRun& run) {
  const auto end = Clock::now() + setting.timeout;
  std::array<pollfd, 2> files{pollfd{.fd = output, .events = POLLIN, .revents = 0},
                              pollfd{.fd = error, .events = POLLIN, .revents = 0}};
  const std::array<std::string*, 2> texts{&run.output, &run.error};
  while (files[0].fd >= 0 || files[1].fd >= 0) {
    ::poll(files.data(), files.size(), /*timeout, ms=*/2);
    for (size_t index = 0; index < files.size(); ++index) {
      if (files[index].fd < 0 || files[index].revents == 0) {
        continue;
      }
      std::array<char, 1 << 14> buffer{};
      const auto count = ::read(files[index].fd, buffer.data(), buffer.size());
      if (count <= 0) {
        files[index].fd = -1;
      } else {
        texts[index]->append(buffer.data(), static_cast<size_t>(count));
      }
    }
    if (setting.interrupt_when && !run.interrupted && setting.interrupt_when(run.error)) {
      run.interrupted = true;
      ::kill(child, setting.signal);
    }
    if (Clock::now() > end) {
      run.error += "\n(killed: it ran too long)\n";
      ::kill(child, SIGKILL);
      return;
    }
  }
}

}  // namespace

std::vector<std::string> ProgramRun::error_lines() const { return split_text(error, '\n'); }

ProgramRun run_program(const std::vector<std::string>& arguments, const ProgramSetting& setting) {
  std::vector<std::string> argv{setting.executable};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  auto environment = environment_entries(setting.environment);
  const auto argument_pointers = pointers(argv);
  const auto environment_pointers = pointers(environment);
  const Pipe input = open_pipe();
  const Pipe error = open_pipe();
  Pipe output = open_pipe();
  if (!setting.output_file.empty()) {
    ::close(output.write_end);
    output.write_end = ::open(setting.output_file.c_str(), O_WRONLY | O_CLOEXEC);
    if (output.write_end < 0) {
      throw std::runtime_error("cannot open " + setting.output_file);
    }
  }
  const pid_t child = ::fork();
  if (child == 0) {
    become_program(argument_pointers.data(), environment_pointers.data(), input.read_end,
                   output.write_end, error.write_end, setting);
  }
  if (child < 0) {
    throw std::runtime_error(std::string("cannot fork: ") + std::strerror(errno));
  }
  for (const int file : {input.read_end, output.write_end, error.write_end}) {
    ::close(file);
  }
  const auto old_handler = std::signal(SIGPIPE, SIG_IGN);
  write_all(input.write_end, setting.input);
  std::signal(SIGPIPE, old_handler);
  ::close(input.write_end);
  ProgramRun run;
  listen(child, output.read_end, error.read_end, setting, run);
  int status = 0;
  ::waitpid(child, &status, 0);
  ::close(output.read_end);
  ::close(error.read_end);
  run.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return run;
}

}  // namespace softmoe::test
