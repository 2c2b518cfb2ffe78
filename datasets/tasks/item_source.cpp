#include "datasets/tasks/item_source.h"

#include "datasets/tasks/drawn_shapes.h"
#include "datasets/tasks/set_items.h"
#include "datasets/tasks/task_kinds.h"

namespace softmoe {

std::shared_ptr<const ItemSource> open_item_source(const TaskOptions& task, bool train) {
  if (task.source == kShapeSource) {
    if (!task.words.empty()) {
      throw InputError("words", "none for " + task.source, "some");
    }
    return std::make_shared<DrawnShapes>();
  }
  auto data = task.data;
  data.dataset = task.source;
  data.captions = find_task_kind(task.kind).needs_captions;
  auto set = make_dataset(data, train ? data.train_split : data.val_split);
  const bool is_gray = set->size() > 0 && set->get(0).image.channels() == 1;
  auto items = std::make_shared<SetItems>(std::move(set), task.source, is_gray);
  if (!task.words.empty()) {
    items->set_words(task.words);
  }
  return items;
}

std::string item_source_key(const TaskOptions& task) {
  if (task.source == kShapeSource) {
    return task.source;
  }
  return json_text(Json{task.source, options_to_json(task.data),
                        find_task_kind(task.kind).needs_captions, task.words});
}

}  // namespace softmoe
