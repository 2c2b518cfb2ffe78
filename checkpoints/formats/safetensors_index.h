#pragma once
/// The index of a set of safetensors shards. Private to checkpoints/.

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace softmoe {

/// The file of each tensor, by name. File names are names in the folder of the index; others are
/// refused. Throws InputError that names `path`.
std::map<std::string, std::string> parse_safetensors_index(std::string_view text,
                                                           const std::filesystem::path& path);

}  // namespace softmoe
