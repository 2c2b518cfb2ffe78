#pragma once
/// The table of kinds of tasks: one row each.

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/tasks/task_scene.h"

namespace softmoe {

/// A question before it is worded.
struct TaskDraft {
  TaskScene scene = {};
  /// What stands for `{slot}` in a wording, by the name of the slot.
  std::map<std::string, std::string> slots = {};
  std::vector<std::string> choices = {};  ///< answers that can be given, two or more, all different
  int64_t answer = 0;                     ///< the right one
};

/// What a kind draws questions of.
struct TaskMatter {
  const TaskOptions& options;
  const ItemSource& source;
  int64_t attribute = 0;     ///< number of the attribute that is asked for
  int64_t by = 0;            ///< of that which names items; of kinds with needs_by
  bool names_value = false;  ///< wordings have {value} or {values}

  const ItemAttribute& asked() const { return source.attributes()[static_cast<size_t>(attribute)]; }
  const ItemAttribute& naming() const { return source.attributes()[static_cast<size_t>(by)]; }
};

/// A kind of tasks.
struct TaskKindRow {
  std::string_view name;
  std::string_view meaning;
  /// Slots that a wording may have beside {attribute}; {values} is the plural of {value}.
  std::span<const std::string_view> slots;
  /// Those that every wording must have; {values} counts as {value}.
  std::span<const std::string_view> required;
  std::span<const std::string_view> wordings;  ///< if a task has none
  void (*draw)(const TaskMatter& matter, Rng& rng, TaskDraft& draft);
  bool needs_captions = false;
  bool needs_by = false;        ///< a second attribute
  bool answers_freely = false;  ///< its answers describe single pictures
  int64_t min_values = 2;       ///< that the attribute must have
};

/// All kinds, in the order of documentation.
std::span<const TaskKindRow> task_kinds();

/// The row called `name`; throws UsageError that lists the known names.
const TaskKindRow& find_task_kind(const std::string& name);

}  // namespace softmoe
