#include "datasets/single_labels.h"

#include "core/error.h"

namespace softmoe {

bool has_single_labels(const Dataset& set) {
  return set.class_names().size() >= 2 && !set.is_multi_label();
}

void require_single_labels(const Dataset& set, const std::string& task) {
  if (set.is_multi_label()) {
    throw UsageError("--multi-label", "one label per image for " + task, "any number");
  }
}

}  // namespace softmoe
