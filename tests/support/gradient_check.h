#pragma once
/// Compares the gradients of autograd with central differences.

#include <ATen/Functions.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

namespace softmoe::test {

/// A leaf that a function depends on, with a name for the message.
struct NamedLeaf {
  std::string name;
  torch::Tensor tensor;
};

struct GradientCheck {
  double step = 1e-5;
  double tolerance = 1e-6;   ///< of the largest gradient of a leaf
  int64_t coordinates = 40;  ///< of each leaf, evenly spread; of a smaller leaf all
};

/// EXPECT_TRUE(gradients_match(f, leaves)): succeeds if the gradients of the scalar `function()`
/// with respect to the fp64 `leaves` equal its central differences. The function must be
/// deterministic.
inline testing::AssertionResult gradients_match(const std::function<torch::Tensor()>& function,
                                                const std::vector<NamedLeaf>& leaves,
                                                GradientCheck check = {}) {
  for (const auto& leaf : leaves) {
    if (leaf.tensor.scalar_type() != torch::kFloat64 || !leaf.tensor.requires_grad()) {
      return testing::AssertionFailure() << leaf.name << " is no fp64 leaf with a gradient";
    }
    leaf.tensor.mutable_grad() = torch::Tensor();
  }
  function().backward();
  const torch::NoGradGuard no_grad;
  for (const auto& leaf : leaves) {
    const auto gradient = leaf.tensor.grad();
    if (!gradient.defined()) {
      return testing::AssertionFailure() << leaf.name << " got no gradient";
    }
    auto values = leaf.tensor.view({-1});
    const auto derivatives = gradient.contiguous().view({-1});
    const double largest = derivatives.abs().max().item<double>();
    const int64_t stride = std::max<int64_t>(1, values.numel() / check.coordinates);
    for (int64_t index = 0; index < values.numel(); index += stride) {
      const double value = values[index].item<double>();
      values[index] = value + check.step;
      const double above = function().item<double>();
      values[index] = value - check.step;
      const double below = function().item<double>();
      values[index] = value;
      const double expected = (above - below) / (2 * check.step);
      const double actual = derivatives[index].item<double>();
      // NaN fails this comparison.
      if (!(std::abs(actual - expected) <= check.tolerance * std::max(largest, 1e-3))) {
        return testing::AssertionFailure()
               << "gradient of " << leaf.name << " at element " << index << ": " << actual
               << " instead of " << expected << " (largest " << largest << ")";
      }
    }
  }
  return testing::AssertionSuccess();
}

}  // namespace softmoe::test
