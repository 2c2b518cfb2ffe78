#pragma once
/// The JSON header of a safetensors file. Private to checkpoints/.

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoints/formats/safetensors.h"

namespace softmoe {

/// The place of one tensor, counted from the first byte of data.
struct SafetensorsEntry {
  std::string name;
  torch::Dtype dtype = torch::kFloat32;
  std::vector<int64_t> shape;
  int64_t begin = 0;
  int64_t end = 0;
};

/// The content of a header.
struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  ///< in the order of their data, without gaps
  SafetensorsMetadata metadata;
};

/// "a.safetensors: tensor 'x'", for errors.
std::string safetensors_place(const std::filesystem::path& path, const std::string& tensor);

/// The format's name of a dtype; empty if it has none.
std::string_view safetensors_dtype_name(torch::Dtype dtype);

/// Parses a header whose tensors must fill exactly `data_bytes`. Memory stays within a small
/// multiple of the text. Throws InputError that names `path` and the tensor.
SafetensorsHeader parse_safetensors_header(std::string_view text, int64_t data_bytes,
                                           const std::filesystem::path& path);

}  // namespace softmoe
