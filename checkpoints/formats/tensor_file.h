#pragma once
/// Tensors from whatever file they come in.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>

#include "checkpoints/formats/safetensors.h"
#include "core/options.h"

namespace softmoe {

/// Containers of tensors.
enum class TensorFormat { kHdf5, kSafetensors, kNpz, kTorch };

/// "a native checkpoint", "safetensors", "npz", "a file of torch.save": for messages.
std::string_view tensor_format_name(TensorFormat format);

/// All that a file holds.
struct TensorFile {
  TensorFormat format = TensorFormat::kHdf5;
  std::filesystem::path path = {};    ///< of the file that was read
  NamedTensors tensors = {};          ///< of a native checkpoint: those of its model
  SafetensorsMetadata metadata = {};  ///< texts of a safetensors file
  /// The metadata of a native checkpoint; for other formats `config.json` beside the file, as
  /// Hugging Face and timm put it there. null where there is none.
  Json config = {};
};

/// Says from its first bytes what a file is. A folder stands for the `model.safetensors`,
/// `model.safetensors.index.json` or `pytorch_model.bin` in it, in this order. Throws InputError
/// that names the file where it is none of them.
TensorFormat tensor_format(const std::filesystem::path& path);

/// Reads a file of any format, by its content and not by its name. Throws InputError as the reader
/// of the format does, and for a `config.json` that is no JSON object.
TensorFile read_tensor_file(const std::filesystem::path& path);

}  // namespace softmoe
