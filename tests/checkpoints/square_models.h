#pragma once
/// Models of square images, as the checkpoints of most families have them.

#include <gtest/gtest.h>

#include <string>

#include "checkpoints/module_tensors.h"
#include "support/tensor_matcher.h"
#include "vit/small_models.h"

namespace softmoe::test {

/// 3 x 3 patches, with the usual number of heads for the width.
inline VitOptions square_options() {
  auto options = small_options();
  options.img_size = {12};
  options.dim = 192;
  options.heads = 3;
  options.mlp_dim = 40;
  return options;
}

/// square_options() with MoE layers of 5 experts in the last two blocks.
inline VitOptions square_moe_options(const std::string& router) {
  auto options = square_options();
  options.moe_blocks = "last_2";
  options.moe.router = router;
  options.moe.experts = 5;
  options.moe.slots_per_expert = router == "soft" ? 2 : 0;
  return options;
}

inline void token_pooling(VitOptions& options) {
  options.class_token = true;
  options.global_pool = GlobalPool::kToken;
}

/// DINOv2 as it is published: no head, LayerScale, exact GELU.
inline VitOptions dinov2_options(int64_t registers = 0) {
  auto options = changed(square_options(), token_pooling);
  options.reg_tokens = registers;
  options.num_classes = 0;
  options.layer_scale = 1e-5;
  options.gelu = Activation::kGeluExact;
  return options;
}

/// dinov2_options() with SwiGLU, as its giants have it.
inline VitOptions dinov2_swiglu_options(int64_t registers = 0) {
  auto options = dinov2_options(registers);
  options.mlp_layer = MlpLayer::kSwiGlu;
  return options;
}

inline void expect_same_tensors(const NamedTensors& actual, const NamedTensors& expected) {
  EXPECT_EQ(actual.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    ASSERT_TRUE(actual.contains(name)) << name;
    EXPECT_TRUE(same_bits(actual.at(name), tensor)) << name;
  }
}

}  // namespace softmoe::test
