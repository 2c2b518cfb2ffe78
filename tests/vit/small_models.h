#pragma once
/// Small models that have every part in a size of its own.

#include <functional>
#include <ostream>
#include <string>

#include "vit/vision_transformer.h"

namespace softmoe::test {

/// A model that a test is repeated for.
struct ModelCase {
  std::string name;
  VitOptions options;
};

inline void PrintTo(const ModelCase& model, std::ostream* out) { *out << model.name; }

/// `options` after `change`.
inline VitOptions changed(VitOptions options, const std::function<void(VitOptions&)>& change) {
  change(options);
  return options;
}

/// 2 x 3 patches of 4 px, 3 channels, width 24 in 2 heads, 3 blocks, 7 classes.
inline VitOptions small_options() {
  VitOptions options;
  options.img_size = {8, 12};
  options.patch_size = 4;
  options.dim = 24;
  options.depth = 3;
  options.heads = 2;
  options.mlp_dim = 40;
  options.num_classes = 7;
  return options;
}

/// The same with MoE layers of 3 experts and 2 slots, as many slots as patches, in blocks 1 and 2.
inline VitOptions small_moe_options(const std::string& router = "soft") {
  VitOptions options = small_options();
  options.moe_blocks = "1,2";
  options.moe.router = router;
  options.moe.experts = 3;
  options.moe.slots_per_expert = 2;
  return options;
}

/// A model from a seed, with a head and biases that are not zero.
inline VisionTransformer lively_model(const VitOptions& options, uint64_t seed = 5) {
  torch::manual_seed(seed);
  VisionTransformer model(options);
  const torch::NoGradGuard no_grad;
  for (auto& parameter : model->named_parameters()) {
    const auto& name = parameter.key();
    if (name.ends_with("bias") || name.starts_with("head") || name.ends_with("_token")) {
      parameter.value().normal_(0.0, 0.3);
    }
  }
  return model;
}

/// Random images for `options`.
inline torch::Tensor random_images(const VitOptions& options, int64_t batch = 2) {
  torch::manual_seed(6);
  return torch::rand({batch, options.in_chans, options.image_height(), options.image_width()}) * 2 -
         1;
}

}  // namespace softmoe::test
