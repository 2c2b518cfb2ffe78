#pragma once
/// The interface of the engines of text towers.

#include <torch/types.h>

#include <cstdint>

#include "core/precision.h"
#include "vit/text_options.h"

namespace softmoe {

/// Runs one text tower. Calls may come from any thread, under InferenceMode.
class TextEngine {
 public:
  TextEngine(Precision precision, const torch::Device& device)
      : precision_(precision), device_(device) {}
  virtual ~TextEngine() = default;
  TextEngine(const TextEngine&) = delete;
  TextEngine& operator=(const TextEngine&) = delete;

  virtual const TextOptions& options() const = 0;
  /// Bytes of packed weights; 0 if modules compute.
  virtual int64_t weight_bytes() const { return 0; }
  /// [batch, embedding_dim] fp32 of texts as TextTowerImpl::forward() takes them. Throws
  /// c10::ValueError as it does, and for ids that the vocabulary does not have.
  virtual torch::Tensor embed(const torch::Tensor& ids, const torch::Tensor& lengths) = 0;

  Precision precision() const { return precision_; }
  const torch::Device& device() const { return device_; }

 private:
  Precision precision_;
  torch::Device device_;
};

}  // namespace softmoe
