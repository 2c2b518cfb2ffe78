#pragma once
/// Tensors from a file of any format.

#include <filesystem>
#include <nlohmann/json.hpp>

#include "checkpoints/formats/opaque_object.h"
#include "checkpoints/formats/safetensors.h"
#include "checkpoints/formats/tensor_format.h"
#include "core/json_text.h"

namespace softmoe {

/// The config file that Hugging Face and timm put beside weights.
inline constexpr const char* kConfigName = "config.json";

/// All that a file holds.
struct TensorFile {
  TensorFormat format = TensorFormat::kHdf5;
  std::filesystem::path path = {};        ///< of the file that was read
  NamedTensors tensors = {};              ///< of a native checkpoint: those of its model
  SafetensorsMetadata metadata = {};      ///< texts of a safetensors file
  std::string comment = {};               ///< of an npz file
  std::vector<OpaqueObject> opaque = {};  ///< of a file of torch.save, beside its tensors
  /// The metadata of a native checkpoint; for other formats the config file beside it, or
  /// null if there is none that can be read.
  Json config = {};
  std::string config_problem = {};  ///< why the config file beside it cannot be read; else empty
};

/// Reads model_file(path) of any format, by its content and not by its name. Throws InputError as
/// the reader of the format does.
TensorFile read_tensor_file(const std::filesystem::path& path);

}  // namespace softmoe
