#include "checkpoints/image_text_description.h"

#include "checkpoints/metadata_fields.h"

namespace softmoe {

Json to_metadata(const ImageTextDescription& description) {
  const auto& preprocess = description.preprocess;
  Json metadata;
  metadata["model_name"] = description.name;
  metadata[kImageTextKey] = options_to_json(description.options);
  metadata["preprocess"] = preprocess ? options_to_json(*preprocess) : Json();
  metadata["tokenizer"] = description.tokenizer.kind;
  metadata["resize_mode"] = enum_name(description.resize_mode);
  return metadata;
}

ImageTextDescription image_text_description(const Json& metadata,
                                            const std::filesystem::path& path) {
  if (!metadata.contains(kImageTextKey)) {
    throw InputError(path.string(), "a model of images and texts", "another one");
  }
  ImageTextDescription description;
  description.name = metadata_field<std::string>(metadata, "model_name", path);
  try {
    description.options = options_from_json<ImageTextOptions>(
        metadata_field<Json>(metadata, kImageTextKey, path), kImageTextKey);
    validate(description.options);
  } catch (const UsageError& error) {
    throw InputError(path.string() + ": " + error.what());  // wrong in a file
  }
  description.preprocess = preprocess_field(metadata, path);
  description.tokenizer.kind = metadata_field<std::string>(metadata, "tokenizer", path);
  description.resize_mode = resize_mode_field(metadata, path);
  return description;
}

}  // namespace softmoe
