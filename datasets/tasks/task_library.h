#pragma once
/// Tasks that come along: files of tasks in the library itself.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/tasks/task_options.h"

namespace softmoe {

/// A set of tasks that `--tasks` can name instead of a file.
struct TaskSetRow {
  std::string_view name;
  std::string_view meaning;
  std::string_view text;  ///< as a file of tasks
  /// The folder that the data come from; empty: they are in the program, or made at run time.
  std::string_view folder = {};
};

/// shapes, characters, digits, fashion-mnist, stamps and clipart.
std::span<const TaskSetRow> task_sets();

/// All of them whose data this machine has.
inline constexpr const char* kAllTasks = "all";

/// Returns true if `name` is that of a row, or kAllTasks.
bool is_task_set(const std::string& name);

/// The tasks of the set `name`.
std::vector<TaskOptions> task_set_of(const std::string& name);

}  // namespace softmoe
