#include "datasets/tasks/task_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/error.h"
#include "datasets/splits.h"
#include "datasets/tasks/task_wording.h"

namespace softmoe {
namespace {

/// Questions per task whose answers stand for all.
constexpr int64_t kAskedForWords = 64;

/// The number of the attribute `name`, or `otherwise` if it is empty.
int64_t attribute_number(const ItemSource& source, const std::string& name, const char* key,
                         int64_t otherwise) {
  const auto& attributes = source.attributes();
  std::vector<std::string> names;
  for (int64_t number = 0; number < std::ssize(attributes); ++number) {
    names.push_back(attributes[static_cast<size_t>(number)].name);
    if (names.back() == name) {
      return number;
    }
  }
  if (!name.empty() || otherwise >= std::ssize(attributes)) {
    throw InputError(
        key, fmt::format("another attribute of the source, which has {}", fmt::join(names, ", ")),
        "'" + printable_text(name) + "'");
  }
  return otherwise;
}

}  // namespace

TaskSet::TaskSet(const std::vector<TaskOptions>& tasks, const TaskSetOptions& options)
    : options_(options) {
  std::vector<std::pair<std::string, std::shared_ptr<const ItemSource>>> opened;
  std::vector<MixturePart> parts;
  for (const auto& task : tasks) {
    try {
      tasks_.push_back(open_entry(task, opened));
    } catch (const InputError& error) {
      throw InputError("task " + printable_text(task.name) + ": " + error.what());
    }
    names_.push_back(task.name);
    parts.push_back({.examples = tasks_.back().source->size(), .weight = task.weight});
  }
  if (tasks_.empty()) {
    throw UsageError("--tasks", "a task", "none");
  }
  if (options_.train) {
    rates_ = mixture_rates(parts, options.mixture);
  }
}

TaskSet::Entry TaskSet::open_entry(
    const TaskOptions& task,
    std::vector<std::pair<std::string, std::shared_ptr<const ItemSource>>>& opened) {
  const auto& kind = find_task_kind(task.kind);
  const auto key = item_source_key(task);
  auto found = std::find_if(opened.begin(), opened.end(),
                            [&](const auto& item) { return item.first == key; });
  if (found == opened.end()) {
    opened.emplace_back(key, open_item_source(task, options_.train));
    found = opened.end() - 1;
  }
  Entry entry{.options = task,
              .kind = &kind,
              .source = found->second,
              .wordings = wordings_of(task, kind),
              .attribute = 0,
              .by = 0};
  const auto& source = *entry.source;
  entry.attribute = attribute_number(source, task.attribute, "attribute", 0);
  if (kind.needs_by) {
    entry.by = attribute_number(source, task.by, "by", 1);
    if (entry.by == entry.attribute) {
      throw InputError("by", "another attribute than the one that is asked for",
                       "'" + task.by + "'");
    }
  }
  if (kind.needs_captions && !source.has_captions()) {
    throw InputError(task.source, "pictures with captions for kind " + task.kind, "none");
  }
  const auto& attribute = source.attributes()[static_cast<size_t>(entry.attribute)];
  if (std::ssize(attribute.values) < kind.min_values) {
    throw InputError(fmt::format("{}: attribute {}", task.source, attribute.name),
                     fmt::format("{} values or more that pictures have", kind.min_values),
                     std::to_string(attribute.values.size()));
  }
  return entry;
}

TaskMatter TaskSet::Entry::matter() const {
  return {.options = options,
          .source = *source,
          .attribute = attribute,
          .by = by,
          .names_value = names_value(wordings)};
}

int64_t TaskSet::size() const {
  return options_.train ? options_.samples : options_.samples * tasks();
}

uint64_t TaskSet::key(int64_t index) const {
  if (options_.train) {
    return stream_key(options_.seed, "tasks/train", static_cast<uint64_t>(index / size()),
                      static_cast<uint64_t>(index % size()));
  }
  check_index(index, size());
  return stream_key(0, "tasks/val/" + task(index / options_.samples).name, 0,
                    static_cast<uint64_t>(index % options_.samples));
}

int64_t TaskSet::task_of(int64_t index) const {
  if (!options_.train) {
    return index / options_.samples;
  }
  Rng rng(key(index));
  return draw_part(rates_, rng);
}

const TaskOptions& TaskSet::task(int64_t number) const {
  return tasks_[static_cast<size_t>(number)].options;
}

TaskSet::Drawn TaskSet::draw(int64_t index) const {
  Rng rng(key(index));
  const int64_t number = options_.train ? draw_part(rates_, rng) : task_of(index);
  const auto& entry = tasks_[static_cast<size_t>(number)];
  TaskDraft draft;
  draft.scene.background = entry.source->background(rng);
  const auto matter = entry.matter();
  entry.kind->draw(matter, rng, draft);
  draft.slots["attribute"] = matter.asked().name;
  draft.slots["by"] = matter.naming().name;
  const auto& wording = entry.wordings[static_cast<size_t>(rng.below(std::ssize(entry.wordings)))];
  return {.question = {.task = number,
                       .text = filled_wording(wording, draft.slots),
                       .choices = std::move(draft.choices),
                       .answer = draft.answer},
          .scene = std::move(draft.scene)};
}

TaskQuestion TaskSet::question(int64_t index) const { return draw(index).question; }

Sample TaskSet::get(int64_t index) const {
  const auto drawn = draw(index);
  const auto& entry = tasks_[static_cast<size_t>(drawn.question.task)];
  return {.image = paint_scene(drawn.scene, *entry.source, options_.side),
          .label = drawn.question.answer};
}

std::string TaskSet::sample_name(int64_t index) const {
  return options_.train
             ? fmt::format("tasks/train[{}]", index)
             : fmt::format("tasks/val/{}[{}]", task(task_of(index)).name, index % options_.samples);
}

std::vector<std::string> TaskSet::answer_words() const {
  std::vector<std::string> words;
  std::set<std::string> known;
  for (const auto& entry : tasks_) {
    if (entry.kind->answers_freely) {
      continue;
    }
    Rng rng(stream_key(0, "tasks/words/" + entry.options.name));
    for (int64_t turn = 0; turn < kAskedForWords; ++turn) {
      TaskDraft draft;
      entry.kind->draw(entry.matter(), rng, draft);
      for (auto& word : draft.choices) {
        if (known.insert(word).second) {
          words.push_back(std::move(word));
        }
      }
    }
  }
  return words;
}

}  // namespace softmoe
