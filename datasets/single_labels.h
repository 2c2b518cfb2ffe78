#pragma once
/// Sets whose images have one label each.

#include <string>

#include "datasets/dataset.h"

namespace softmoe {

/// Returns true if each image of `set` has one label, of two classes or more.
bool has_single_labels(const Dataset& set);

/// Throws UsageError that names `task`, which needs one label per image, if `set` is multi-label.
void require_single_labels(const Dataset& set, const std::string& task);

}  // namespace softmoe
