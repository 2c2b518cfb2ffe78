#include "datasets/tasks/task_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/nearest_name.h"
#include "core/toml.h"
#include "datasets/tasks/task_library.h"
#include "datasets/tasks/task_wording.h"
#include "io/atomic_file.h"

namespace softmoe {
namespace {

constexpr const char* kName = "name";

/// Throws InputError unless `task` has what every task needs.
void check_task(const TaskOptions& task) {
  if (task.kind.empty()) {
    throw InputError("a kind, such as kind = \"classification\", is missing");
  }
  if (task.source.empty()) {
    throw InputError("a source, such as source = \"shapes\", is missing");
  }
  std::set<std::string> words;
  for (const auto& word : task.words) {
    if (word.find_first_not_of(' ') == std::string::npos) {
      throw InputError("words", "a word for every value", "an empty one");
    }
    if (!words.insert(word).second) {
      throw InputError("words", "different words", "'" + printable_text(word) + "' twice");
    }
  }
  wordings_of(task, find_task_kind(task.kind));
}

/// Sets the option `key` of `table`. Throws UsageError.
void set_option(const OptionTable& table, const std::string& key, const Json& value,
                const std::string& where) {
  const auto* const field = is_no_task_option(key) ? nullptr : table.find(key);
  if (field == nullptr) {
    std::vector<std::string> known;
    for (const auto& option : table.fields()) {
      if (!is_no_task_option(option.name())) {
        known.push_back(option.name());
      }
    }
    throw InputError(fmt::format("{}: no key '{}' in a task{}", where, printable_text(key),
                                 did_you_mean(key, known)));
  }
  // One wording or word may stand without brackets.
  field->from_json(field->is_list() && !value.is_array() ? Json::array({value}) : value, where);
}

TaskOptions task_of(const TomlEntry& entry, const std::string& where) {
  const auto at = [&](int64_t line) {
    return fmt::format("{}: line {}: {}", where, line, printable_text(entry.name));
  };
  if (!entry.value.is_object()) {
    throw InputError(at(entry.line), "a table of a task, [name]", "a value");
  }
  TaskOptions task{.name = entry.name};
  const auto table = option_table(task);
  for (const auto& [key, value] : entry.value.items()) {
    set_option(table, key, value, at(entry.key_lines.at(key)));
  }
  try {
    check_task(task);
  } catch (const InputError& error) {
    throw InputError(at(entry.line) + ": " + error.what());
  }
  return task;
}

}  // namespace

std::vector<TaskOptions> parse_tasks(const std::string& text, const std::string& where) {
  std::vector<TaskOptions> tasks;
  for (const auto& entry : parse_toml(text, where)) {
    try {
      tasks.push_back(task_of(entry, where));
    } catch (const UsageError& error) {
      throw InputError(error.what());  // wrong in the file, not on the command line
    }
  }
  if (tasks.empty()) {
    throw InputError(where, "tables of tasks, [name]", "none");
  }
  return tasks;
}

std::vector<TaskOptions> read_tasks(const std::vector<std::string>& names) {
  std::vector<TaskOptions> tasks;
  std::set<std::string> known;
  for (const auto& name : names) {
    for (auto& task :
         is_task_set(name) ? task_set_of(name) : parse_tasks(read_text_file(name), name)) {
      if (!known.insert(task.name).second) {
        throw InputError(name, "tasks of different names", "'" + task.name + "' twice");
      }
      tasks.push_back(std::move(task));
    }
  }
  return tasks;
}

Json to_json(const TaskOptions& task) {
  auto json = options_to_json(task);
  json[kName] = valid_utf8(task.name);
  return json;
}

TaskOptions task_from_json(const Json& json, const std::string& where) {
  auto values = json;
  if (!values.is_object() || !values.contains(kName) || !values.at(kName).is_string()) {
    throw InputError(where, "a task with a name", "none");
  }
  const auto name = values.at(kName).get<std::string>();
  values.erase(kName);
  auto task = stored_options<TaskOptions>(values, where + ": " + printable_text(name));
  task.name = name;
  try {
    check_task(task);
  } catch (const InputError& error) {
    throw InputError(where + ": " + printable_text(name) + ": " + error.what());
  }
  return task;
}

}  // namespace softmoe
