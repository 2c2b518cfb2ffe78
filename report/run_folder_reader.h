#pragma once
/// Reading the folders that training runs write.

#include <string>

#include "core/options.h"
#include "report/results.h"

namespace softmoe::report {

/// The model `name` of a run, and its experts if `options` add them: `name` alone would be that of
/// a dense model, too.
std::string model_text(const std::string& name, const Json& options);

/// The run in `folder`; an empty label means the folder's name.
TrainingRun read_training_run(const std::string& folder, const std::string& label);

/// Adds the run in `folder` under `label`; an empty label means the folder's name.
void read_run_folder(const std::string& folder, const std::string& label, Results& results);

}  // namespace softmoe::report
