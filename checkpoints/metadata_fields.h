#pragma once
/// Fields of the metadata of checkpoints.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "core/error.h"
#include "core/json_text.h"
#include "datasets/preprocess_options.h"
#include "vit/position_embedding.h"

namespace softmoe {

/// A field of the metadata of `path`; a missing one or one of another type is an InputError.
template <typename T>
T metadata_field(const Json& metadata, const std::string& name, const std::filesystem::path& path) {
  try {
    return metadata.at(name).get<T>();
  } catch (const nlohmann::json::exception& error) {
    throw InputError(path.string() + ": metadata field '" + name +
                     "' is missing or of another type");
  }
}

/// The field `resize_mode`, which checkpoints of earlier versions do not have.
PositionResize resize_mode_field(const Json& metadata, const std::filesystem::path& path);

/// The field `preprocess`; nothing if it is null.
std::optional<PreprocessOptions> preprocess_field(const Json& metadata,
                                                  const std::filesystem::path& path);

}  // namespace softmoe
