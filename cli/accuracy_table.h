#pragma once
/// The accuracy of each class as a table.

#include <string>
#include <vector>

#include "eval/metrics.h"

namespace softmoe::cli {

/// Images and accuracy, or average precision, of the classes called `names`; of more than 20
/// classes those with the lowest values.
std::string accuracy_table(const ClassificationResult& result,
                           const std::vector<std::string>& names);

}  // namespace softmoe::cli
