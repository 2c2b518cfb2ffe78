#pragma once
/// What a checkpoint says about a model of images and texts beside the weights.

#include <filesystem>
#include <optional>
#include <string>

#include "checkpoints/stored_tokenizer.h"
#include "core/json_text.h"
#include "datasets/preprocess_options.h"
#include "vit/image_text_options.h"
#include "vit/position_embedding.h"

namespace softmoe {

/// All that it takes to use a model of images and texts, without its weights.
struct ImageTextDescription {
  std::string name;  ///< the preset that it was made from
  ImageTextOptions options;
  std::optional<PreprocessOptions> preprocess;  ///< none: how its images are made is unknown
  StoredTokenizer tokenizer;
  /// How its learned positions are resized to another grid, usual in the library it came from.
  PositionResize resize_mode = PositionResize::kBilinearCorners;
};

/// The key of the options in the metadata of a checkpoint, by which it is known to be of such a
/// model.
inline constexpr const char* kImageTextKey = "image_text";

/// As metadata of a checkpoint, under the keys `model_name`, `image_text`, `preprocess`,
/// `tokenizer` (its kind) and `resize_mode`.
Json to_metadata(const ImageTextDescription& description);

/// From metadata; the data of the tokenizer stand in the checkpoint's tensors. Throws InputError
/// that names `path` and the field.
ImageTextDescription image_text_description(const Json& metadata,
                                            const std::filesystem::path& path);

}  // namespace softmoe
