#pragma once
/// A model that embeds images and texts in one space.

#include "vit/image_text_options.h"
#include "vit/text_tower.h"
#include "vit/vision_transformer.h"

namespace softmoe {

/// `x` [batch, dim] in fp32 (fp64 if it is fp64), each row divided by its length.
torch::Tensor of_length_one(const torch::Tensor& x);

/// exp(`log_scale` []) times the cosines of embeddings [images, dim] and [texts, dim] of length 1,
/// plus `bias` [] if it is defined: [images, texts].
torch::Tensor pair_logits(const torch::Tensor& images, const torch::Tensor& texts,
                          const torch::Tensor& log_scale, const torch::Tensor& bias);

/// Two towers (`image`, `text`), the projection of images (`image_projection`, without bias) and
/// what makes logits of cosines: parameters `logit_scale` [], a logarithm, and `logit_bias` []
/// (CLIP: Radford et al., arXiv:2103.00020; SigLIP: Zhai et al., arXiv:2303.15343).
class ImageTextModelImpl : public torch::nn::Cloneable<ImageTextModelImpl> {
 public:
  /// Throws UsageError if the options contradict each other.
  explicit ImageTextModelImpl(ImageTextOptions options);
  void reset() override;

  /// Embeddings of `images` [batch, in_chans, height, width]: [batch, embedding_dim] fp32, of
  /// length 1.
  torch::Tensor encode_image(const torch::Tensor& images, RoutingRecords* records = nullptr);
  /// Embeddings of texts (TextTowerImpl::forward): [batch, embedding_dim] fp32, of length 1.
  torch::Tensor encode_text(const torch::Tensor& ids, const torch::Tensor& lengths,
                            RoutingRecords* records = nullptr);
  /// The embedding of features of the image tower [batch, feature_dim], which may have been
  /// computed once for a locked tower.
  torch::Tensor embed_features(const torch::Tensor& features);
  /// pair_logits() by logit_scale and logit_bias, [images, texts].
  torch::Tensor logits(const torch::Tensor& images, const torch::Tensor& texts) const;

  /// Lets the blocks of both towers keep no activations in training but compute them again.
  void set_grad_checkpointing(bool enabled);

  const ImageTextOptions& options() const { return options_; }

  VisionTransformer image{nullptr};
  TextTower text{nullptr};
  Linear image_projection{nullptr};
  torch::Tensor logit_scale;  ///< []
  torch::Tensor logit_bias;   ///< [], undefined without ImageTextOptions::has_logit_bias

 private:
  ImageTextOptions options_;
};
TORCH_MODULE(ImageTextModel);

}  // namespace softmoe
