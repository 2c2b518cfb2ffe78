#pragma once
/// What is known of an update whose loss or gradient is NaN or infinite.

#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "train/model_update.h"
#include "train/training_state.h"

namespace softmoe {

/// An update that cannot be made, and what made it so.
struct NotFinite {
  int64_t step = 0;  ///< updates before it
  double loss = 0.0;
  std::string place = {};             ///< first_not_finite(), or the gradient
  std::vector<int64_t> indices = {};  ///< of the images in the training set
  std::vector<std::string> names = {};

  /// "the loss is nan at update 12 of 300: first in blocks.3, images 4, 9 and 14 more".
  std::string text(const std::string& total_steps) const;
};

/// The first parameter of `model` with a value that is NaN or infinite, or "".
std::string bad_parameter(const torch::nn::Module& model);

/// Where the first value that is NaN or infinite arises in the forward pass of `model`, in the
/// state in which it trains, on `batch`: "parameter blocks.2.mlp.fc1.weight", "the images",
/// "patch_embed", "blocks.2", "head", or "the loss" if all of these are finite.
std::string first_not_finite(VisionTransformer& model, const Batch& batch, torch::Dtype dtype);

/// What is known of `update`, which was made of `batches` of `set` with `random_key`.
NotFinite not_finite(TrainingState& state, const ModelUpdate& update,
                     const std::vector<Batch>& batches, const Dataset& set, uint64_t random_key);

/// As a file for those who look into it.
Json to_json(const NotFinite& found);

}  // namespace softmoe
