#include "inference/image_text_inference.h"

#include <ATen/ops/linear.h>
#include <c10/core/InferenceMode.h>

#include <utility>

#include "checkpoints/image_text_checkpoint.h"
#include "checkpoints/load_into.h"
#include "inference/modules/module_text.h"
#include "inference/packed/can_pack.h"
#include "inference/packed/packed_text.h"
#include "vit/image_text_model.h"

namespace softmoe {
namespace {

/// Takes a tensor of the model itself, as fp32 on `device`; undefined if it is not there.
torch::Tensor take_own(NamedTensors& weights, const std::string& name,
                       const torch::Device& device) {
  auto node = weights.extract(name);
  return node.empty() ? torch::Tensor() : node.mapped().detach().to(device, torch::kFloat32);
}

std::unique_ptr<TextEngine> text_engine(const TextOptions& options, NamedTensors weights,
                                        const std::string& where, Precision precision,
                                        const torch::Device& device) {
  if (device.is_cpu() && can_pack(block_options(options), weights, precision)) {
    return std::make_unique<PackedText>(options, std::move(weights), precision);
  }
  return std::make_unique<ModuleText>(options, weights, where, precision, device);
}

}  // namespace

ImageTextInference::ImageTextInference(const ImageTextOptions& options, NamedTensors weights,
                                       const std::string& where, Precision precision,
                                       const torch::Device& device)
    : options_(options) {
  check_fit(*unfilled_image_text_model(options), weights, where);
  projection_ = take_own(weights, "image_projection.weight", device);
  logit_scale_ = take_own(weights, "logit_scale", device);
  logit_bias_ = take_own(weights, "logit_bias", device);
  images_.emplace(options.image, take_part(weights, "image."), where, precision, device);
  texts_ = text_engine(options.text, take_part(weights, "text."), where, precision, device);
}

ImageTextInference::~ImageTextInference() = default;
ImageTextInference::ImageTextInference(ImageTextInference&&) noexcept = default;
ImageTextInference& ImageTextInference::operator=(ImageTextInference&&) noexcept = default;

const torch::Device& ImageTextInference::device() const { return images_->device(); }

bool ImageTextInference::is_packed() const {
  return images_->is_packed() && texts_->weight_bytes() > 0;
}

torch::Tensor ImageTextInference::encode_image(const torch::Tensor& images) {
  const c10::InferenceMode inference;
  const auto features = images_->forward_features(images);  // [batch, feature_dim]
  return of_length_one(projection_.defined() ? at::linear(features, projection_)
                                             : features);  // [batch, embedding_dim]
}

torch::Tensor ImageTextInference::encode_text(const torch::Tensor& ids,
                                              const torch::Tensor& lengths) {
  const c10::InferenceMode inference;
  return of_length_one(texts_->embed(ids, lengths));  // [batch, embedding_dim]
}

torch::Tensor ImageTextInference::logits(const torch::Tensor& images,
                                         const torch::Tensor& texts) const {
  const c10::InferenceMode inference;
  return pair_logits(images, texts, logit_scale_, logit_bias_);  // [images, texts]
}

}  // namespace softmoe
