#include "checkpoints/metadata_fields.h"

#include "core/options.h"

namespace softmoe {

PositionResize resize_mode_field(const Json& metadata, const std::filesystem::path& path) {
  PositionResize mode = PositionResize::kBilinearCorners;
  if (metadata.contains("resize_mode")) {
    OptionTable table;
    table.add("resize_mode", mode, "");
    try {
      table.from_json({{"resize_mode", metadata.at("resize_mode")}}, path.string() + ": metadata");
    } catch (const UsageError& error) {
      throw InputError(error.what());  // wrong in a file, not on the command line
    }
  }
  return mode;
}

std::optional<PreprocessOptions> preprocess_field(const Json& metadata,
                                                  const std::filesystem::path& path) {
  const auto stored = metadata_field<Json>(metadata, "preprocess", path);
  if (stored.is_null()) {
    return std::nullopt;
  }
  return stored_options<PreprocessOptions>(stored, path.string() + ": preprocess");
}

}  // namespace softmoe
