#pragma once
/// What a trained model says about images.

#include <torch/types.h>

#include <optional>
#include <string>
#include <vector>

#include "checkpoints/model_checkpoint.h"
#include "datasets/dataset.h"
#include "datasets/transforms.h"
#include "inference/packed/packed_model.h"

namespace softmoe {

/// The preprocessing of a checkpoint called `name` in evaluation. Throws InputError where it does
/// not fit the model or cannot be understood.
Transform evaluation_transform(const ModelDescription& model, const std::string& name);

/// What is kept of each image.
struct PredictionRequest {
  int64_t topk = 5;  ///< at most the number of classes are given
  bool logits = false;
  bool features = false;
};

/// One row an image (none where `indices` is empty), in the order of the images, without those that
/// could not be read. Tensors are on the CPU; what was not asked for, or the model does not have,
/// is undefined.
struct Predictions {
  torch::Tensor indices;        ///< [images] int64: which of the given images the row is about
  torch::Tensor classes;        ///< [images, topk] int64, the most probable first
  torch::Tensor probabilities;  ///< [images, topk] fp32
  torch::Tensor logits;         ///< [images, classes] fp32
  torch::Tensor features;       ///< [images, feature_dim] fp32: what the head gets
  std::vector<BadImage> bad;    ///< by index
};

/// A model and the way in which its images are prepared.
class Predictor {
 public:
  /// `model` computes where it is; `name` stands for it in errors. Throws like
  /// evaluation_transform; numbers of channels other than 1 and 3 are for arrays alone.
  Predictor(LoadedModel model, std::string name, InferenceDtype dtype = InferenceDtype::kFloat32);
  /// The same on `device` from weights, whose memory is taken over. Throws like PackedModel too.
  Predictor(LoadedWeights weights, std::string name, InferenceDtype dtype,
            const torch::Device& device);

  const ModelDescription& description() const { return description_; }
  /// What computes.
  PackedModel& model() { return model_; }
  bool has_head() const { return description().options.num_classes > 0; }
  /// The name of a class, its number where the checkpoint does not name it.
  std::string class_name(int64_t label) const;

  /// Predictions for the images of a set, which go through the evaluation preprocessing of the
  /// checkpoint in `workers` threads while the model computes. Images that cannot be read are left
  /// out and listed. Throws InputError where the model gives NaN or infinity, or takes images of
  /// other than 1 or 3 channels.
  Predictions predict(const Dataset& images, int64_t batch_size, int64_t workers,
                      const PredictionRequest& request);

  /// Predictions for `images` [images, height, width, channels] of any floating dtype that are in
  /// the model's size and range already. Throws InputError that names `name` where they are not.
  Predictions predict(const torch::Tensor& images, const std::string& name, int64_t batch_size,
                      const PredictionRequest& request);

 private:
  class Collector;

  ModelDescription description_;
  std::string name_;
  std::optional<Transform> transform_;  // none with channels that no image file has
  PackedModel model_;
};

}  // namespace softmoe
