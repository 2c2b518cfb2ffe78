#pragma once
/// The refusal of multi-label sets.

#include <string>

#include "datasets/dataset.h"

namespace softmoe {

/// Throws UsageError that names `task`, which needs one label per image, if `set` is multi-label.
void require_single_labels(const Dataset& set, const std::string& task);

}  // namespace softmoe
