#pragma once
/// The preprocessing of a foreign model from its family and its config files.

#include <string>
#include <vector>

#include "checkpoints/convert/families.h"
#include "checkpoints/convert/read_config.h"
#include "checkpoints/convert/reading_notes.h"
#include "datasets/preprocess_options.h"

namespace softmoe {

/// The preprocessing that belongs to a model of `family` with `configs`. `notes` get what is done
/// differently here and what no config says. Throws InputError that starts with `where` for
/// impossible values.
PreprocessOptions guess_preprocess(const VitOptions& options, const Family& family,
                                   const ConfigFiles& configs, const std::string& where,
                                   ReadingNotes& notes);

}  // namespace softmoe
