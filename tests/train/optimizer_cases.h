#pragma once
/// Parameters that the tests of optimizers share.

#include <gtest/gtest.h>
#include <torch/types.h>

#include <string>
#include <vector>

#include "support/tensor_matcher.h"
#include "train/optimizers.h"
#include "train/schedule.h"

namespace softmoe::test {

using Parameters = std::vector<NamedParameter>;

/// Pairwise distinct shapes under names that meet every rule.
inline Parameters some_parameters(torch::TensorOptions options = {}) {
  at::manual_seed(3);
  return {{"patch_embed.proj.weight", torch::randn({5, 2, 3}, options).requires_grad_()},
          {"blocks.0.norm1.weight", torch::randn({7}, options).requires_grad_()},
          {"blocks.0.mlp.fc1.bias", torch::randn({11}, options).requires_grad_()},
          {"blocks.1.moe.experts.fc1_weight", torch::randn({2, 6, 4}, options).requires_grad_()},
          {"blocks.1.moe.router.scale", torch::randn({}, options).requires_grad_()},
          {"head.weight", torch::randn({8, 9}, options).requires_grad_()}};
}

/// Copies of `parameters` that share no memory with them.
inline Parameters copies(const Parameters& parameters) {
  Parameters result;
  for (const auto& [name, tensor] : parameters) {
    result.push_back({name, tensor.detach().clone().requires_grad_(tensor.requires_grad())});
  }
  return result;
}

/// Sets random gradients, drawn for `step`.
inline void set_gradients(Parameters& parameters, int64_t step) {
  at::manual_seed(100 + step);
  for (auto& [name, tensor] : parameters) {
    tensor.mutable_grad() = torch::randn_like(tensor);
  }
}

/// Follows a trajectory of recipe.npz, whose every step is checked.
void expect_reference_trajectory(const std::string& name, const OptimizerOptions& options,
                                 const ScheduleOptions& schedule_options);

inline void expect_same_bits(const Parameters& actual, const Parameters& expected) {
  for (size_t index = 0; index < actual.size(); ++index) {
    EXPECT_TRUE(same_bits(actual[index].tensor.detach(), expected[index].tensor.detach()))
        << actual[index].name;
  }
}

}  // namespace softmoe::test
