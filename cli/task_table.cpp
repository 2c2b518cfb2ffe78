#include "cli/task_table.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/pluralize.h"
#include "core/table.h"

namespace softmoe::cli {
namespace {

std::string percent(double share) { return fmt::format("{:.2f} %", 100 * share); }

void add_mean(TextTable& table, const TaskMean& mean, const std::string& note) {
  table.add_row({printable_text(mean.name), note, pluralize(mean.tasks, "task"),
                 percent(mean.accuracy), percent(mean.chance)});
}

}  // namespace

std::string task_table(const TaskEvaluation& evaluation) {
  TextTable table({"task", "family", "questions", "accuracy", "chance"},
                  {Align::kLeft, Align::kLeft, Align::kRight, Align::kRight, Align::kRight});
  for (const auto& task : evaluation.tasks) {
    table.add_row({printable_text(task.name) + (task.held_out ? " (held out)" : ""),
                   printable_text(task.family), std::to_string(task.examples),
                   percent(task.accuracy()), percent(task.chance)});
  }
  table.add_rule();
  for (const auto& family : evaluation.families()) {
    add_mean(table, family, "family");
  }
  table.add_rule();
  for (const bool held_out : {false, true}) {
    if (const auto mean = evaluation.mean(held_out); mean.tasks > 0) {
      add_mean(table, mean, "mean");
    }
  }
  return table.text();
}

}  // namespace softmoe::cli
