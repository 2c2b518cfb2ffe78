#pragma once
/// Models of images and texts that only embed.

#include <torch/types.h>

#include <memory>
#include <optional>
#include <string>

#include "core/named_tensors.h"
#include "inference/inference_model.h"
#include "vit/image_text_options.h"

namespace softmoe {

class TextEngine;

/// Both towers of a model of images and texts, whose embeddings agree with those of
/// ImageTextModel as the results of InferenceModel do with its modules.
///
/// On a CPU both towers are packed (PackedEngine, PackedText), each if can_pack() allows it; else,
/// and on other devices, modules compute. Calls may come from any thread; one per tower runs at a
/// time.
class ImageTextInference {
 public:
  /// A model of `weights`, called `where` in errors. If nobody else holds them, their memory is
  /// taken over. Throws InputError that lists what is missing, unknown or misshapen, UsageError for
  /// a precision that a tower, the processor or the device does not have.
  ImageTextInference(const ImageTextOptions& options, NamedTensors weights,
                     const std::string& where, Precision precision,
                     const torch::Device& device = torch::kCPU);
  ~ImageTextInference();
  ImageTextInference(ImageTextInference&&) noexcept;
  ImageTextInference& operator=(ImageTextInference&&) noexcept;

  const ImageTextOptions& options() const { return options_; }
  const torch::Device& device() const;
  /// Returns true if both towers are packed.
  bool is_packed() const;

  /// Embeddings of `images` [batch, in_chans, height, width]: [batch, embedding_dim] fp32, of
  /// length 1.
  torch::Tensor encode_image(const torch::Tensor& images);
  /// Embeddings of texts (TextTowerImpl::forward()): [batch, embedding_dim] fp32, of length 1.
  torch::Tensor encode_text(const torch::Tensor& ids, const torch::Tensor& lengths);
  /// Logits of embeddings (ImageTextModelImpl::logits()), [images, texts].
  torch::Tensor logits(const torch::Tensor& images, const torch::Tensor& texts) const;

 private:
  ImageTextOptions options_;
  torch::Tensor projection_;              // [embedding_dim, feature_dim] fp32, or undefined
  torch::Tensor logit_scale_;             // []
  torch::Tensor logit_bias_;              // [], or undefined
  std::optional<InferenceModel> images_;  // always there, made by the constructor's body
  std::unique_ptr<TextEngine> texts_;
};

}  // namespace softmoe
