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

/// The run in `folder`; an empty label means the folder's name.
TrainingRun read_training_run(const std::string& folder, const std::string& label);

/// Adds the run in `folder` under `label`; an empty label means the folder's name.
void read_run_folder(const std::string& folder, const std::string& label, Results& results);

/// Adds the results of a `--json` file under `label`; an empty label means the label in the file,
/// else the file's name without its extension.
void read_result_json(const std::string& path, const std::string& label, Results& results);

/// The option `name` if it is text, else "".
std::string option_text(const Json& options, const std::string& name);

/// `dataset` and `data-dir` of `options` as one short name.
std::string data_set_name(const Json& options);

}  // namespace softmoe::report
