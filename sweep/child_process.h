#pragma once
/// Programs that run as child processes.

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace softmoe {

/// The program of this process, as the first element of a child's `argv`.
inline constexpr const char* kThisProgram = "/proc/self/exe";

/// A running child; what it prints goes to a log file.
class ChildProcess {
 public:
  /// Starts the program `argv[0]`, a path, with the arguments `argv[1]`, ... in the working folder
  /// of this process. What it prints is appended to `log`. Throws InputError if the log cannot be
  /// written or the process cannot be made; a child that cannot run the program exits with 127.
  ChildProcess(std::vector<std::string> argv, const std::filesystem::path& log);

  pid_t id() const { return id_; }
  /// Asks the child to save and stop (SIGINT).
  void interrupt() const;

 private:
  pid_t id_ = -1;
};

/// How a child ended.
struct ChildExit {
  pid_t id = -1;
  int code = 0;  ///< 128 + the signal if one ended it
};

/// Waits until any child ends, or until `stop`, which is called often, returns true; `id` is -1
/// then, and if there is no child.
ChildExit wait_for_child(const std::function<bool()>& stop = {});

/// The last line of a log that is not empty; "" if there is none.
std::string last_line(const std::filesystem::path& log);

}  // namespace softmoe
