#include "datasets/single_labels.h"

#include "core/error.h"

namespace softmoe {

void require_single_labels(const Dataset& set, const std::string& task) {
  if (set.is_multi_label()) {
    throw UsageError("--multi-label", "one label per image for " + task, "any number");
  }
}

}  // namespace softmoe
