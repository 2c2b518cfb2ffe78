#include "checkpoints/model_description.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "checkpoints/image_text_description.h"
#include "checkpoints/instruction_checkpoint.h"
#include "checkpoints/metadata_fields.h"
#include "core/error.h"
#include "core/unicode.h"

namespace softmoe {
namespace {

Likelihood likelihood(const Json& metadata, const std::filesystem::path& path) {
  const auto name = metadata_field<std::string>(metadata, "loss", path);
  const auto value = enum_value<Likelihood>(name);
  if (!value) {
    throw InputError(path.string() + ": metadata field 'loss'",
                     fmt::format("one of {}", fmt::join(enum_names<Likelihood>(), ", ")),
                     "'" + printable_text(name) + "'");
  }
  return *value;
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
  if (metadata.contains(kImageTextKey)) {
    throw InputError(path.string(), "a model of images alone", "one of images and texts");
  }
  if (metadata.contains(kInstructionKey)) {
    throw InputError(path.string(), "a model of images alone",
                     "one that answers questions (softmoe predict --ask, softmoe eval --tasks)");
  }
  ModelDescription description;
  description.name = metadata_field<std::string>(metadata, "model_name", path);
  try {
    description.options =
        options_from_json<VitOptions>(metadata_field<Json>(metadata, "model", path), "model");
    validate(description.options);
  } catch (const UsageError& error) {
    throw InputError(path.string() + ": " + error.what());  // wrong in a file
  }
  description.class_names = metadata_field<std::vector<std::string>>(metadata, "classes", path);
  for (auto& name : description.class_names) {
    name = nfc(name);  // as data sets have them
  }
  const auto classes = description.options.num_classes;
  if (const auto names = std::ssize(description.class_names); classes > 0 && names > classes) {
    throw InputError(path.string() + ": metadata field 'classes'",
                     fmt::format("at most {} names, one a class", classes), std::to_string(names));
  }
  description.preprocess = preprocess_field(metadata, path);
  description.likelihood = likelihood(metadata, path);
  description.resize_mode = resize_mode_field(metadata, path);
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
