#include "parallel/launch.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <map>
#include <thread>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "core/error.h"
#include "core/interrupt_guard.h"

extern char** environ;  // NOLINT: POSIX declares it nowhere

namespace softmoe {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kGrace{5};
constexpr std::chrono::milliseconds kPoll{20};
constexpr const char* kProgram = "/proc/self/exe";

[[noreturn]] void throw_system_error(const std::string& what) {
  throw InputError(what + ": " + system_error_text(errno));
}

/// A store that only this machine reaches.
c10::intrusive_ptr<c10d::TCPStore> loopback_store() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const plain = reinterpret_cast<sockaddr*>(&address);
  if (listener < 0 || ::bind(listener, plain, size) != 0 || ::listen(listener, SOMAXCONN) != 0 ||
      ::getsockname(listener, plain, &size) != 0) {
    throw_system_error("cannot listen on the loopback device");
  }
  c10d::TCPStoreOptions options;
  options.isServer = true;
  options.waitWorkers = false;
  options.port = ntohs(address.sin_port);
  options.masterListenFd = listener;
  return c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options);
}

/// Pointers to `texts`, as exec() wants them.
std::vector<char*> text_pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (auto& text : texts) {
    pointers.push_back(text.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

/// The environment of this process with `changes`.
std::vector<std::string> changed_environment(const std::map<std::string, std::string>& changes) {
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string variable(*entry);
    if (!changes.contains(variable.substr(0, variable.find('=')))) {
      variables.push_back(variable);
    }
  }
  for (const auto& [name, value] : changes) {
    variables.push_back(name + "=" + value);
  }
  return variables;
}

/// The running processes of a launch, by their ids.
class Children {
 public:
  ~Children() { send(SIGKILL); }

  void start(int64_t rank, const std::vector<std::string>& arguments,
             const std::map<std::string, std::string>& variables) {
    std::vector<std::string> words{kProgram};
    words.insert(words.end(), arguments.begin(), arguments.end());
    auto environment = changed_environment(variables);
    pid_t id = -1;
    const int error = ::posix_spawn(&id, kProgram, nullptr, nullptr, text_pointers(words).data(),
                                    text_pointers(environment).data());
    if (error != 0) {
      errno = error;
      throw_system_error(fmt::format("cannot start rank {}", rank));
    }
    ranks_[id] = rank;
  }

  bool empty() const { return ranks_.empty(); }

  void send(int signal) const {
    for (const auto& [id, rank] : ranks_) {
      ::kill(id, signal);
    }
  }

  /// Takes the processes that have ended; the first of them that failed goes to `end`.
  void collect(LaunchEnd& end) {
    for (auto child = ranks_.begin(); child != ranks_.end();) {
      int status = 0;
      if (::waitpid(child->first, &status, WNOHANG) == 0) {
        ++child;
        continue;
      }
      const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      if (code != 0 && end.rank < 0) {
        end = {.rank = child->second, .code = code};
      }
      child = ranks_.erase(child);
    }
  }

 private:
  std::map<pid_t, int64_t> ranks_;
};

/// Waits for all processes; ends those that outlive a failed one.
LaunchEnd wait_for(Children& children) {
  LaunchEnd end;
  bool has_forwarded = false;
  int ending = 0;  // signals sent after a failure
  auto next_signal = Clock::time_point::max();
  while (true) {
    children.collect(end);
    if (children.empty()) {
      return end;
    }
    if (interrupt_requested() && !has_forwarded) {
      has_forwarded = true;
      children.send(SIGTERM);
    }
    if (end.rank >= 0 && next_signal == Clock::time_point::max()) {
      next_signal = Clock::now() + kGrace;
    }
    if (Clock::now() >= next_signal) {
      children.send(ending++ == 0 ? SIGTERM : SIGKILL);
      next_signal = Clock::now() + kGrace;
    }
    std::this_thread::sleep_for(kPoll);
  }
}

}  // namespace

std::string LaunchEnd::text() const {
  if (rank < 0) {
    return "all processes have ended";
  }
  return code > 128 ? fmt::format("rank {} was ended by signal {} ({})", rank, code - 128,
                                  ::strsignal(code - 128))
                    : fmt::format("rank {} ended with exit code {}", rank, code);
}

LaunchEnd launch_processes(int64_t processes, const std::vector<std::string>& arguments) {
  const InterruptGuard interrupt;
  const auto store = loopback_store();
  Children children;
  for (int64_t rank = 0; rank < processes; ++rank) {
    children.start(rank, arguments,
                   {{"RANK", std::to_string(rank)},
                    {"LOCAL_RANK", std::to_string(rank)},
                    {"WORLD_SIZE", std::to_string(processes)},
                    {"LOCAL_WORLD_SIZE", std::to_string(processes)},
                    {"MASTER_ADDR", "127.0.0.1"},
                    {"MASTER_PORT", std::to_string(store->getPort())},
                    {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                    {"TORCHELASTIC_RESTART_COUNT", "0"}});
  }
  return wait_for(children);
}

}  // namespace softmoe
