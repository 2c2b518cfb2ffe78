#include "vit/patch_embed.h"

#include "ops/initialization.h"
#include "ops/linear.h"

namespace softmoe {

PatchProjectionImpl::PatchProjectionImpl(const VitOptions& options) : options_(options) {
  PatchProjectionImpl::reset();
}

void PatchProjectionImpl::reset() {
  const int64_t patch = options_.patch_size;
  weight =
      register_parameter("weight", torch::empty({options_.dim, options_.in_chans, patch, patch}));
  init_lecun_normal(weight, options_.in_chans * patch * patch);
  if (options_.patch_bias) {
    bias = register_parameter("bias", torch::empty({options_.dim}));
    init_constant(bias, 0.0);
  }
}

torch::Tensor image_patches(const torch::Tensor& images, const VitOptions& options) {
  const int64_t batch = images.size(0);
  const int64_t channels = options.in_chans;
  const int64_t patch = options.patch_size;
  const int64_t rows = images.size(2) / patch;
  const int64_t columns = images.size(3) / patch;
  return images.reshape({batch, channels, rows, patch, columns, patch})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({batch, rows * columns, channels * patch * patch});  // [batch, patches, pixels]
}

PatchEmbedImpl::PatchEmbedImpl(const VitOptions& options) : options_(options) {
  PatchEmbedImpl::reset();
}

void PatchEmbedImpl::reset() { proj = register_module("proj", PatchProjection(options_)); }

torch::Tensor PatchEmbedImpl::forward(const torch::Tensor& patches) {
  return linear(patches, proj->weight.flatten(1), proj->bias);  // [batch, patches, dim]
}

}  // namespace softmoe
