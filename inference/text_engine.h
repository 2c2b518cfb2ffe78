#pragma once
/// The interface of the engines of text towers.

#include <torch/types.h>

#include "inference/engine.h"
#include "vit/text_options.h"

namespace softmoe {

/// Runs one text tower.
class TextEngine : public Engine {
 public:
  using Engine::Engine;

  virtual const TextOptions& options() const = 0;
  /// [batch, embedding_dim] fp32 of texts as TextTowerImpl::forward() takes them. Throws
  /// c10::ValueError as it does, and for ids that the vocabulary does not have.
  virtual torch::Tensor embed(const torch::Tensor& ids, const torch::Tensor& lengths) = 0;
};

}  // namespace softmoe
