#include <algorithm>
#include <utility>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "core/error.h"
#include "parallel/launch.h"

namespace softmoe::cli {
namespace {

struct LaunchFlags {
  int64_t processes = 2;
};

void describe(OptionTable& table, LaunchFlags& flags) {
  table.add("processes", flags.processes, "processes that work on the command together, or -n",
            {.min = 1, .max = 4096});
}

/// The first argument that is the name of a command that several processes can do.
std::vector<std::string>::const_iterator find_command(const std::vector<std::string>& arguments) {
  return std::find_if(arguments.begin(), arguments.end(), [](const std::string& argument) {
    const auto rows = command_rows();
    return std::any_of(rows.begin(), rows.end(), [&](const CommandRow& row) {
      return row.is_parallel && row.name == argument;
    });
  });
}

std::string parallel_commands() {
  std::string names;
  for (const auto& row : command_rows()) {
    if (row.is_parallel) {
      names += (names.empty() ? "" : " or ") + std::string(row.name);
    }
  }
  return names;
}

}  // namespace

void run_launch(const std::vector<std::string>& arguments) {
  LaunchFlags flags;
  CommandLine line("launch",
                   "Run a command in several processes on this machine: softmoe launch -n 4 train "
                   "...; what stands behind the name of the command is for the command.");
  line.add("Launch", flags);
  const auto command = find_command(arguments);
  std::vector<std::string> own(arguments.begin(), command);
  std::replace(own.begin(), own.end(), std::string("-n"), std::string("--processes"));
  if (!line.parse(own)) {
    return;
  }
  for (const auto* name : {"json", "threads", "device"}) {
    if (line.given(name)) {
      throw UsageError(std::string("--") + name, "a place behind the command", "one before it");
    }
  }
  if (command == arguments.end()) {
    throw UsageError("softmoe launch", "a command to run: " + parallel_commands(), "none");
  }
  const auto end = launch_processes(flags.processes, {command, arguments.end()});
  if (end.code == 130) {
    throw Interrupted(end.text());
  }
  if (end.code == 2) {
    throw UsageError(end.text());
  }
  if (end.code != 0) {
    throw InputError(end.text());
  }
}

}  // namespace softmoe::cli
