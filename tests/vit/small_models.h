#pragma once
/// Small models that have every part in a size of its own.

#include <functional>
#include <ostream>
#include <string>
#include <vector>

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

/// 4 x 4 patches of 2 px of gray images, width 16 in 2 heads, 2 blocks.
inline VitOptions small_gray_options() {
  VitOptions options;
  options.img_size = {8};
  options.patch_size = 2;
  options.in_chans = 1;
  options.dim = 16;
  options.depth = 2;
  options.heads = 2;
  options.mlp_dim = 24;
  return options;
}

/// small_options() with MoE layers of 3 experts and 2 slots, as many slots as patches, in blocks 1
/// and 2.
inline VitOptions small_moe_options(const std::string& router = "soft") {
  VitOptions options = small_options();
  options.moe_blocks = "1,2";
  options.moe.router = router;
  options.moe.experts = 3;
  options.moe.slots_per_expert = 2;
  return options;
}

/// Class, distillation and three register tokens, LayerNorm before the blocks, no bias of patches.
inline VitOptions every_prefix() {
  auto options = small_moe_options();
  options.global_pool = GlobalPool::kToken;
  options.class_token = true;
  options.dist_token = true;
  options.reg_tokens = 3;
  options.pre_norm = true;
  options.patch_bias = false;
  options.gelu = Activation::kGeluQuick;
  return options;
}

/// `options` with a class token and registers, pooled to the class token beside the patches' mean.
inline VitOptions with_token_avg(VitOptions options) {
  options.class_token = true;
  options.reg_tokens = 2;
  options.global_pool = GlobalPool::kTokenAvg;
  return options;
}

/// Every kind of prefix tokens and every pooling, for engines that have to follow the modules in
/// them: without MoE layers as `dense`, with them as `soft`.
inline std::vector<ModelCase> prefix_and_pooling_cases(const VitOptions& dense,
                                                       const VitOptions& soft) {
  return {
      {"QuickGeluPreNormNoPatchBias", changed(dense,
                                              [](VitOptions& options) {
                                                options.gelu = Activation::kGeluQuick;
                                                options.pre_norm = true;
                                                options.patch_bias = false;
                                              })},
      {"ClassTokenAndRegisters", changed(dense,
                                         [](VitOptions& options) {
                                           options.class_token = true;
                                           options.reg_tokens = 2;
                                           options.pos_embed_prefix = false;
                                           options.global_pool = GlobalPool::kToken;
                                         })},
      {"Distilled", changed(dense,
                            [](VitOptions& options) {
                              options.class_token = true;
                              options.dist_token = true;
                              options.global_pool = GlobalPool::kToken;
                              options.pre_logits = 18;
                            })},
      {"DistilledWithRegisters", changed(dense,
                                         [](VitOptions& options) {
                                           options.class_token = true;
                                           options.dist_token = true;
                                           options.reg_tokens = 2;
                                           options.pos_embed_prefix = false;
                                           options.global_pool = GlobalPool::kToken;
                                           options.pre_logits = 18;
                                         })},
      {"AttentionPooling", changed(soft,
                                   [](VitOptions& options) {
                                     options.global_pool = GlobalPool::kMap;
                                     options.final_norm = FinalNorm::kPooled;
                                     options.pre_logits = 18;
                                   })},
      {"AttentionPoolingOfThePatches", changed(soft,
                                               [](VitOptions& options) {
                                                 options.global_pool = GlobalPool::kMap;
                                                 options.class_token = true;
                                                 options.reg_tokens = 2;
                                               })},
      {"AttentionPoolingWithThePrefix", changed(soft,
                                                [](VitOptions& options) {
                                                  options.global_pool = GlobalPool::kMap;
                                                  options.pool_include_prefix = true;
                                                  options.reg_tokens = 2;
                                                })},
      {"MeanWithThePrefix", changed(dense,
                                    [](VitOptions& options) {
                                      options.pool_include_prefix = true;
                                      options.class_token = true;
                                    })},
      {"TokenAvg", with_token_avg(soft)},
      {"TokenAvgPreLogits", changed(dense,
                                    [](VitOptions& options) {
                                      options.class_token = true;
                                      options.global_pool = GlobalPool::kTokenAvg;
                                      options.pre_logits = 18;
                                    })},
      {"NoHead", changed(soft, [](VitOptions& options) { options.num_classes = 0; })},
  };
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
