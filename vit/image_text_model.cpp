#include "vit/image_text_model.h"

#include <cmath>

#include "ops/initialization.h"

namespace softmoe {

torch::Tensor of_length_one(const torch::Tensor& x) {
  const auto exact = x.scalar_type() == torch::kFloat64 ? x : x.to(torch::kFloat32);
  constexpr double kMinLength = 1e-12;
  return exact / exact.norm(2, /*dim=*/-1, /*keepdim=*/true).clamp_min(kMinLength);
}

torch::Tensor pair_logits(const torch::Tensor& images, const torch::Tensor& texts,
                          const torch::Tensor& log_scale, const torch::Tensor& bias) {
  const auto scaled = images.matmul(texts.t()) * log_scale.exp();  // [images, texts]
  return bias.defined() ? scaled + bias : scaled;
}

ImageTextModelImpl::ImageTextModelImpl(ImageTextOptions options) : options_(std::move(options)) {
  validate(options_);
  ImageTextModelImpl::reset();
}

void ImageTextModelImpl::reset() {
  image = register_module("image", VisionTransformer(options_.image));
  text = register_module("text", TextTower(options_.text));
  if (options_.image_projection) {
    const int64_t features = options_.image.feature_dim();
    image_projection = register_module(
        "image_projection", Linear(features, options_.embedding_dim(), /*with_bias=*/false));
    init_normal(image_projection->weight, 1.0 / std::sqrt(static_cast<double>(features)));
  }
  logit_scale = register_parameter("logit_scale", torch::empty({}));
  init_constant(logit_scale, std::log(options_.logit_scale));
  if (options_.has_logit_bias) {
    logit_bias = register_parameter("logit_bias", torch::empty({}));
    init_constant(logit_bias, options_.logit_bias);
  }
}

torch::Tensor ImageTextModelImpl::embed_features(const torch::Tensor& features) {
  return of_length_one(image_projection ? image_projection(features)
                                        : features);  // [batch, embedding_dim]
}

torch::Tensor ImageTextModelImpl::encode_image(const torch::Tensor& images,
                                               RoutingRecords* records) {
  return embed_features(image->forward_features(images, records));  // [batch, embedding_dim]
}

torch::Tensor ImageTextModelImpl::encode_text(const torch::Tensor& ids,
                                              const torch::Tensor& lengths,
                                              RoutingRecords* records) {
  return of_length_one(text->forward(ids, lengths, records));  // [batch, embedding_dim]
}

torch::Tensor ImageTextModelImpl::logits(const torch::Tensor& images,
                                         const torch::Tensor& texts) const {
  return pair_logits(images, texts, logit_scale, logit_bias);  // [images, texts]
}

void ImageTextModelImpl::set_grad_checkpointing(bool enabled) {
  image->set_grad_checkpointing(enabled);
  text->set_grad_checkpointing(enabled);
}

}  // namespace softmoe
