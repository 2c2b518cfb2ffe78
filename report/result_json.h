#pragma once
/// Reading the files that commands write with `--json`.

#include <string>

#include "core/options.h"
#include "report/results.h"

namespace softmoe::report {

/// Adds the results of a `--json` file under `label`; an empty label means the label in the file,
/// else the file's name without its extension.
void read_result_json(const std::string& path, const std::string& label, Results& results);

/// The option `name` if it is text, else "".
std::string option_text(const Json& options, const std::string& name);

/// `dataset` and `data-dir` of `options` as one short name.
std::string data_set_name(const Json& options);

}  // namespace softmoe::report
