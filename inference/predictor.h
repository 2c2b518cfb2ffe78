#pragma once
/// Predictions of a trained model.

#include <torch/types.h>

#include <optional>
#include <string>
#include <vector>

#include "checkpoints/model_checkpoint.h"
#include "datasets/dataset.h"
#include "datasets/transforms.h"
#include "inference/inference_model.h"

namespace softmoe {

/// The preprocessing of a checkpoint called `name` in evaluation. Throws InputError if it does not
/// fit the model or cannot be understood.
Transform evaluation_transform(const ModelDescription& model, const std::string& name);

/// The preprocessing of a checkpoint called `name` in training, with at least a share of `hflip` of
/// the images mirrored. Throws like evaluation_transform, and UsageError if training sees each
/// image in one way only.
Transform training_transform(const ModelDescription& model, const std::string& name, double hflip);

/// The results that are kept for each image.
struct PredictionRequest {
  int64_t topk = 5;  ///< classes per image, at most all
  bool logits = false;
  bool features = false;
};

/// One row per image, in the order of the images, without those that could not be read. Tensors are
/// on the CPU. Results that were not requested, or that the model does not have, are undefined, and
/// so are all of them if there are no rows.
struct Predictions {
  torch::Tensor indices;        ///< [images] int64: the index of the image of each row
  torch::Tensor classes;        ///< [images, topk] int64, the most probable first
  torch::Tensor probabilities;  ///< [images, topk] fp32
  torch::Tensor logits;         ///< [images, classes] fp32
  torch::Tensor features;       ///< [images, feature_dim] fp32: what the head gets
  std::vector<BadImage> bad;    ///< by index
};

/// A model with the preprocessing of its images.
class Predictor {
 public:
  /// `model` computes on its device; errors call it `name`. Throws like evaluation_transform. A
  /// model with other than 1 or 3 channels takes arrays alone.
  Predictor(LoadedModel model, std::string name, Precision precision = Precision::kFloat32);
  /// A predictor on `device` of weights, whose memory is taken over. Also throws like
  /// InferenceModel.
  Predictor(LoadedWeights weights, std::string name, Precision precision,
            const torch::Device& device);

  const ModelDescription& description() const { return description_; }
  /// The model that computes.
  InferenceModel& model() { return model_; }
  bool has_head() const { return description().options.num_classes > 0; }
  /// The name of a class, or its number if the checkpoint does not name it.
  std::string class_name(int64_t label) const;

  /// Predictions for the images of a set, which go through the evaluation preprocessing of the
  /// checkpoint in `workers` threads while the model computes. Images that cannot be read are left
  /// out and listed. Throws InputError if the model gives NaN or infinity, or takes images of other
  /// than 1 or 3 channels.
  Predictions predict(const Dataset& images, int64_t batch_size, int64_t workers,
                      const PredictionRequest& request);

  /// Predictions for `images` [images, height, width, channels] of any floating dtype that already
  /// have the model's size and range. Throws InputError that names `name` for other arrays.
  Predictions predict(const torch::Tensor& images, const std::string& name, int64_t batch_size,
                      const PredictionRequest& request);

 private:
  class Collector;

  ModelDescription description_;
  std::string name_;
  std::optional<Transform> transform_;  // nothing if no image file has the model's channels
  InferenceModel model_;
};

}  // namespace softmoe
