#pragma once
/// Files of tasks: TOML with a table per task.

#include <string>
#include <vector>

#include "datasets/tasks/task_options.h"

namespace softmoe {

/// The tasks of `text`, which is called `where` in messages: a table per task, whose keys are those
/// of TaskOptions. Throws InputError that names the line for anything else, for values that are not
/// allowed and for wordings that do not fit the kind.
std::vector<TaskOptions> parse_tasks(const std::string& text, const std::string& where);

/// Tasks of several names, each a file or the name of a set that comes along (task_library.h).
/// Throws InputError that names the file, and if two tasks have one name.
std::vector<TaskOptions> read_tasks(const std::vector<std::string>& names);

/// A task for metadata, and back; the latter throws InputError that starts with `where`.
Json to_json(const TaskOptions& task);
TaskOptions task_from_json(const Json& json, const std::string& where);

}  // namespace softmoe
