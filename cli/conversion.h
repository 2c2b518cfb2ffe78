#pragma once
/// A model on its way from one file to another.

#include <string>

#include "checkpoints/convert/foreign_model.h"
#include "checkpoints/surgery/adapt.h"
#include "checkpoints/surgery/resize_options.h"
#include "cli/command_line.h"
#include "cli/model_flags.h"

namespace softmoe::cli {

struct Conversion {
  std::string input;
  std::string output;
  ForeignModel model;  ///< its description becomes that of the result
  AdaptedWeights adapted{};
};

/// Changes a model that was read as the flags of `line` say: its sizes, options and preprocessing,
/// the names of its classes from the file `class_names` where one is named. Throws UsageError for
/// flags that contradict each other, InputError for weights that do not fit.
void adapt(Conversion& conversion, const CommandLine& line, ResizeOptions& resize,
           const std::string& class_names);

}  // namespace softmoe::cli
