#include "datasets/tasks/task_options.h"

#include "datasets/sources.h"
#include "datasets/tasks/task_kinds.h"

namespace softmoe {

void describe(OptionTable& table, TaskOptions& options) {
  OptionLimits kinds;
  for (const auto& row : task_kinds()) {
    kinds.choices.emplace_back(row.name);
  }
  OptionLimits sources{.choices = {kShapeSource}};
  for (const auto& row : dataset_rows()) {
    sources.choices.emplace_back(row.name);
  }
  table.add("kind", options.kind, "what is asked", kinds);
  table.add("family", options.family, "tasks that are held out together", {.follows = "the kind"});
  table.add("source", options.source, "shapes, which are drawn, or a data set", sources);
  table.add("attribute", options.attribute, "the attribute of items that is asked for",
            {.follows = "the first of the source"});
  table.add("by", options.by, "the attribute by which a question names an item",
            {.follows = "the second of the source"});
  table.add("ask", options.ask, "the instruction in one or more wordings",
            {.follows = "those of the kind"});
  table.add("words", options.words, "words for the values of the attribute, in their order",
            {.follows = "those of the source"});
  table.add("max-choices", options.max_choices, "max answers that a question chooses from",
            {.min = 2, .max = 256});
  table.add("max-items", options.max_items, "max items of a picture of several",
            {.min = 2, .max = 9});
  table.add("weight", options.weight, "factor of the task's share of a mixture",
            {.min = 0, .max = 1e6});
  describe(table, options.data);
}

bool is_no_task_option(const std::string& name) {
  return name == "dataset" || name == "multi-label" || name == "label-separator";
}

}  // namespace softmoe
