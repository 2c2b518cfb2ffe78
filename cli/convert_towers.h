#pragma once
/// softmoe convert for models of images and texts.

#include <string>

#include "checkpoints/formats/tensor_format.h"
#include "cli/command_line.h"

namespace softmoe::cli {

/// What the flags of `softmoe convert --towers both` say.
struct TowersConversion {
  std::string checkpoint;
  std::string output;
  TensorFormat format = TensorFormat::kHdf5;
  std::string names;  ///< of the tensors in `output`, a value of --names
};

/// Reads both towers, writes them, and prints what was read and written. Throws UsageError if
/// `line` has flags that change a model of images alone.
void convert_towers(const TowersConversion& conversion, const CommandLine& line);

}  // namespace softmoe::cli
