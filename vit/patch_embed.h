#pragma once
/// The patch embedding.

#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include "vit/options.h"

namespace softmoe {

/// The weights of a patch embedding, in a module of their own for timm's names: `weight`
/// [dim, in_chans, patch, patch], `bias` [dim] unless the options leave it out.
class PatchProjectionImpl : public torch::nn::Cloneable<PatchProjectionImpl> {
 public:
  explicit PatchProjectionImpl(const VitOptions& options);
  void reset() override;

  torch::Tensor weight;
  torch::Tensor bias;

 private:
  VitOptions options_;
};
TORCH_MODULE(PatchProjection);

/// The pixels of the square patches of `images` [batch, in_chans, height, width], row by row:
/// [batch, patches, in_chans * patch * patch].
torch::Tensor image_patches(const torch::Tensor& images, const VitOptions& options);

/// Maps patches to tokens by `proj`, as one matrix product.
class PatchEmbedImpl : public torch::nn::Cloneable<PatchEmbedImpl> {
 public:
  explicit PatchEmbedImpl(const VitOptions& options);
  void reset() override;
  /// image_patches() to [batch, patches, dim].
  torch::Tensor forward(const torch::Tensor& patches);

  PatchProjection proj{nullptr};

 private:
  VitOptions options_;
};
TORCH_MODULE(PatchEmbed);

}  // namespace softmoe
