#pragma once
/// Models whose head was made from their features.

#include <torch/types.h>

#include <string>
#include <vector>

#include "checkpoints/checkpoint.h"
#include "checkpoints/model_checkpoint.h"

namespace softmoe {

/// A linear classifier of a model's features.
struct LinearHead {
  torch::Tensor weight;                  ///< [classes, feature_dim]
  torch::Tensor bias;                    ///< [classes]
  std::vector<std::string> class_names;  ///< empty: labels have no names
};

/// A checkpoint of the model `source`, read from `name`, with `head` in place of its own: its
/// logits are those of the head, and stand for one class per image (Likelihood::kSoftmax). A model
/// with a distillation token gets two heads whose mean they are. Throws InputError that names
/// `name` if the head takes other features.
Checkpoint checkpoint_with_head(LoadedWeights source, const LinearHead& head,
                                const std::string& name);

}  // namespace softmoe
