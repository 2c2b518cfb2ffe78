#include "checkpoints/model_description.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/unicode.h"

namespace softmoe {
namespace {

/// A field of the metadata; a missing one or one of another type is an InputError.
template <typename T>
T field(const Json& metadata, const std::string& name, const std::filesystem::path& path) {
  try {
    return metadata.at(name).get<T>();
  } catch (const nlohmann::json::exception& error) {
    throw InputError(path.string() + ": metadata field '" + name +
                     "' is missing or of another type");
  }
}

Likelihood likelihood(const Json& metadata, const std::filesystem::path& path) {
  const auto name = field<std::string>(metadata, "loss", path);
  const auto value = enum_value<Likelihood>(name);
  if (!value) {
    throw InputError(path.string() + ": metadata field 'loss'",
                     fmt::format("one of {}", fmt::join(enum_names<Likelihood>(), ", ")),
                     "'" + printable_text(name) + "'");
  }
  return *value;
}

/// Checkpoints of earlier versions do not have this field.
PositionResize resize_mode(const Json& metadata, const std::filesystem::path& path) {
  PositionResize mode = ModelDescription{}.resize_mode;
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

std::optional<PreprocessOptions> preprocess_of(const Json& metadata,
                                               const std::filesystem::path& path) {
  const auto stored = field<Json>(metadata, "preprocess", path);
  if (stored.is_null()) {
    return std::nullopt;
  }
  return stored_options<PreprocessOptions>(stored, path.string() + ": preprocess");
}

}  // namespace

Json to_metadata(const ModelDescription& description) {
  const auto& preprocess = description.preprocess;
  Json metadata;
  metadata["model_name"] = description.name;
  metadata["model"] = options_to_json(description.options);
  metadata["classes"] = description.class_names;
  metadata["preprocess"] = preprocess ? options_to_json(*preprocess) : Json();
  metadata["loss"] = enum_name(description.likelihood);
  metadata["resize_mode"] = enum_name(description.resize_mode);
  return metadata;
}

ModelDescription model_description(const Json& metadata, const std::filesystem::path& path) {
  ModelDescription description;
  description.name = field<std::string>(metadata, "model_name", path);
  try {
    description.options =
        options_from_json<VitOptions>(field<Json>(metadata, "model", path), "model");
    validate(description.options);
  } catch (const UsageError& error) {
    throw InputError(path.string() + ": " + error.what());  // wrong in a file
  }
  description.class_names = field<std::vector<std::string>>(metadata, "classes", path);
  for (auto& name : description.class_names) {
    name = nfc(name);  // as data sets have them
  }
  const auto classes = description.options.num_classes;
  if (const auto names = std::ssize(description.class_names); classes > 0 && names > classes) {
    throw InputError(path.string() + ": metadata field 'classes'",
                     fmt::format("at most {} names, one a class", classes), std::to_string(names));
  }
  description.preprocess = preprocess_of(metadata, path);
  description.likelihood = likelihood(metadata, path);
  description.resize_mode = resize_mode(metadata, path);
  return description;
}

Json derived_metadata(const Json& source, const ModelDescription& description) {
  auto metadata = to_metadata(description);
  // A model that comes from no file has no metadata.
  const auto config = source.is_null() ? Json() : source.value("config", Json());
  if (config.contains("amp-dtype")) {
    metadata["config"] = {{"amp-dtype", config.at("amp-dtype")}};
  }
  return metadata;
}

std::vector<int64_t> input_size(const VitOptions& options) {
  return {options.in_chans, options.image_height(), options.image_width()};
}

PreprocessOptions default_preprocess(const VitOptions& options) {
  PreprocessOptions preprocess;
  preprocess.input_size = input_size(options);
  return preprocess;
}

PreprocessOptions stored_preprocess(const ModelDescription& model, const std::string& name) {
  const auto where = name + ": preprocess";
  if (!model.preprocess) {
    throw InputError(where, "an object of options", "null");
  }
  try {
    check_normalization(*model.preprocess, model.options.in_chans);
  } catch (const UsageError& error) {
    throw InputError(where + ": " + error.what());  // wrong in a file, not on the command line
  }
  return *model.preprocess;
}

}  // namespace softmoe
