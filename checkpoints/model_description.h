#pragma once
/// What a checkpoint says about its model beside the weights.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/json_text.h"
#include "datasets/preprocess_options.h"
#include "vit/likelihood.h"
#include "vit/options.h"
#include "vit/position_embedding.h"

namespace softmoe {

/// All that it takes to use a model, without its weights.
struct ModelDescription {
  std::string name;  ///< the preset that it was made from
  VitOptions options;
  std::vector<std::string> class_names;          ///< empty: labels have no names
  std::optional<PreprocessOptions> preprocess;   ///< none: how its images are made is unknown
  Likelihood likelihood = Likelihood::kSoftmax;  ///< what its logits stand for
  /// How its learned positions are resized to another grid, usual in the library it came from.
  PositionResize resize_mode = PositionResize::kBilinearCorners;
};

/// As metadata of a checkpoint, under the keys `model_name`, `model`, `classes`, `preprocess`,
/// `loss`, `resize_mode`.
Json to_metadata(const ModelDescription& description);
/// From metadata; throws InputError that names `path` and the field.
ModelDescription model_description(const Json& metadata, const std::filesystem::path& path);

/// Metadata of a model that `description` describes and that was made, without training, of a model
/// with the metadata `source`: it is evaluated in the compute dtype of its source.
Json derived_metadata(const Json& source, const ModelDescription& description);

/// Channels, height and width of the images that a model of `options` takes.
std::vector<int64_t> input_size(const VitOptions& options);

/// The preprocessing of a model of `options` that was not trained: the default with its input size.
PreprocessOptions default_preprocess(const VitOptions& options);

/// The preprocessing that `model` was stored with. Throws InputError that starts with `name` if
/// there is none, or mean and std do not fit the model's channels.
PreprocessOptions stored_preprocess(const ModelDescription& model, const std::string& name);

}  // namespace softmoe
