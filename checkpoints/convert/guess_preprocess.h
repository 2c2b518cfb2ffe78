#pragma once
/// The preprocessing of a foreign model from its family and its config files.

#include <string>
#include <vector>

#include "checkpoints/convert/families.h"
#include "checkpoints/convert/read_config.h"
#include "datasets/preprocess_options.h"

namespace softmoe {

/// The preprocessing that belongs to a model of `family` with `configs`. `choices` gets a line for
/// everything that is done differently here. Throws InputError that starts with `where` for
/// impossible values.
PreprocessOptions guess_preprocess(const VitOptions& options, const Family& family,
                                   const ConfigFiles& configs, const std::string& where,
                                   std::vector<std::string>& choices);

}  // namespace softmoe
