#pragma once
/// Whole models into files for other programs.

#include <filesystem>
#include <vector>

#include "checkpoints/convert/families.h"
#include "checkpoints/formats/tensor_format.h"
#include "checkpoints/model_description.h"

namespace softmoe {

/// Writes a model: kHdf5 as a native checkpoint; kSafetensors, which carries our description too,
/// with the config files of the family beside it; kNpz, which carries it in its comment. All files
/// are written or none. Throws InputError that lists tensors without a name in the family,
/// UsageError for kTorch and for a native checkpoint with names of others.
void write_foreign_model(const std::filesystem::path& path, TensorFormat format,
                         const Family& family, const ModelDescription& description,
                         const NamedTensors& weights);

/// The config files that write_foreign_model() writes beside `path`.
std::vector<std::filesystem::path> config_files(const std::filesystem::path& path,
                                                TensorFormat format, const Family& family);

}  // namespace softmoe
