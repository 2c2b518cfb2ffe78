#pragma once
/// Models with all that it takes to use them, in and out of native checkpoints.

#include <filesystem>
#include <string>
#include <vector>

#include "checkpoints/checkpoint.h"
#include "vit/likelihood.h"
#include "vit/position_embedding.h"
#include "vit/vision_transformer.h"

namespace softmoe {

/// What a checkpoint says about its model beside the weights.
struct ModelDescription {
  std::string name;  ///< the preset that it was made from
  VitOptions options;
  std::vector<std::string> class_names;  ///< empty where labels have no names
  Json preprocess;                       ///< PreprocessOptions of datasets/, by name
  /// What its logits stand for.
  Likelihood likelihood = Likelihood::kSoftmax;
  /// How its learned positions go to another grid, usual in the library that it came from.
  PositionResize resize_mode = PositionResize::kBilinearCorners;
};

/// As metadata of a checkpoint, under the keys `model_name`, `model`, `classes`, `preprocess`,
/// `loss`, `resize_mode`.
Json to_metadata(const ModelDescription& description);
/// From metadata; throws InputError that names `path` and the field.
ModelDescription model_description(const Json& metadata, const std::filesystem::path& path);

/// A model read from a checkpoint, in evaluation mode.
struct LoadedModel {
  VisionTransformer model{nullptr};
  ModelDescription description;
  Json metadata;
};

/// The weights of a model as a checkpoint has them, on the CPU.
struct LoadedWeights {
  NamedTensors weights;
  ModelDescription description;
  Json metadata;
};

/// Reads a native checkpoint, or whatever read_foreign_model() reads, with the defaults of its
/// family, which a line of the log names; no model is made of it. Throws InputError that names the
/// file, and the field, where anything does not fit.
LoadedWeights load_weights(const std::filesystem::path& path);

/// Reads a model like load_weights() onto `device`, its weights as `dtype`. Throws InputError that
/// names the file, and the tensor or field, where anything does not fit.
LoadedModel load_model(const std::filesystem::path& path, const torch::Device& device = torch::kCPU,
                       torch::Dtype dtype = torch::kFloat32);

/// A model of `options` for its names and shapes: parameters of `dtype` that nobody has written yet
/// take no memory.
VisionTransformer unfilled_model(const VitOptions& options, torch::Dtype dtype = torch::kBFloat16);

/// A model of `options` with `seed`'s initial weights, on `device`.
VisionTransformer make_model(const VitOptions& options, int64_t seed,
                             const torch::Device& device = torch::kCPU);

/// Parameters and buffers of a module by name; not copies.
NamedTensors named_tensors(const torch::nn::Module& module);

}  // namespace softmoe
