#pragma once
/// Starts the processes of a run on one machine, as torchrun does.

#include <cstdint>
#include <string>
#include <vector>

namespace softmoe {

/// How the processes of a run ended.
struct LaunchEnd {
  int64_t rank = -1;  ///< of the process that failed first; -1: none did
  int code = 0;       ///< its exit code; 128 + the signal if one ended it

  /// "rank 2 was ended by signal 9 (Killed)" or "rank 1 ended with exit code 1".
  std::string text() const;
};

/// Runs this program `processes` times with `arguments`, with the environment variables that
/// read_world_environment() reads, and waits for all of them. They meet in a store of this process,
/// on a free port of the loopback device.
///
/// SIGINT, SIGTERM and SIGHUP go on to the processes as SIGTERM. If a process fails, the others
/// have 10 seconds to notice it and end; then they get SIGTERM, and 10 seconds later SIGKILL.
/// Throws InputError if processes cannot be made.
LaunchEnd launch_processes(int64_t processes, const std::vector<std::string>& arguments);

}  // namespace softmoe
