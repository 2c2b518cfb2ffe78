#pragma once
/// Reading the results that a report shows.

#include <string>
#include <vector>

#include "report/results.h"

namespace softmoe::report {

/// Reads results given as "path" or "label=path": run folders of `train` and `finetune`, and
/// `--json` files of these and of `fewshot`, `benchmark`, `eval`, `inspect` and `predict`. Throws
/// InputError with file and field if something is missing, incomplete or of an unknown kind.
Results read_results(const std::vector<std::string>& arguments);

}  // namespace softmoe::report
