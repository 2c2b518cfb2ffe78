#include "ops/optimizer_update.h"

#include "ops/operator_checks.h"

namespace softmoe::optimizer_update_test {

using test::all_close;

/// Parameters, gradients and one kind of state; every other element of a larger tensor if the
/// gradients are `spread`.
UpdatedTensors example(size_t kinds, bool spread, torch::Dtype dtype = torch::kFloat32) {
  at::manual_seed(7);
  UpdatedTensors tensors;
  tensors.state.resize(kinds);
  for (const auto& shape : std::vector<std::vector<int64_t>>{{130, 170}, {13}}) {
    tensors.parameters.push_back(torch::randn(shape).to(dtype));
    auto gradient = torch::randn(shape).to(dtype);
    if (spread) {
      gradient = torch::stack({gradient, gradient}, -1).select(-1, 0);
    }
    tensors.gradients.push_back(gradient);
    for (auto& kind : tensors.state) {
      kind.push_back(torch::rand(shape).to(dtype));
    }
  }
  return tensors;
}

TEST(OptimizerUpdate, AdamWFollowsItsDefinitionOnAllLevelsAndLayouts) {
  const AdamWStep step{.lr = 0.02,
                       .decay = 0.3,
                       .beta1 = 0.8,
                       .beta2 = 0.95,
                       .eps = 1e-3,
                       .step = 3,
                       .gradient_factor = 0.5};
  const auto start = example(2, /*spread=*/false, torch::kFloat64);
  for (const auto level : kernels::present_levels()) {
    const kernels::ScopedLevel scoped(level);
    for (const bool spread : {false, true}) {
      const auto tensors = example(2, spread);
      adamw_update(step, tensors);
      for (size_t index = 0; index < 2; ++index) {
        const auto gradient = start.gradients[index] * 0.5;
        const auto mean = 0.8 * start.state[0][index] + 0.2 * gradient;
        const auto square = 0.95 * start.state[1][index] + 0.05 * gradient * gradient;
        const auto root = (square / (1 - std::pow(0.95, 3))).sqrt() + 1e-3;
        const auto expected = start.parameters[index] * (1 - 0.02 * 0.3) -
                              0.02 * mean / (1 - std::pow(0.8, 3)) / root;
        EXPECT_TRUE(all_close(tensors.parameters[index], expected.to(torch::kFloat32)));
        EXPECT_TRUE(all_close(tensors.state[0][index], mean.to(torch::kFloat32)));
        EXPECT_TRUE(all_close(tensors.state[1][index], square.to(torch::kFloat32)));
      }
    }
  }
}

TEST(OptimizerUpdate, AdamWMayKeepItsMeansInBf16) {
  const AdamWStep step{.lr = 0.02, .decay = 0.3, .beta1 = 0.8, .step = 3, .gradient_factor = 0.5};
  for (const auto level : kernels::present_levels()) {
    const kernels::ScopedLevel scoped(level);
    for (const bool spread : {false, true}) {
      auto tensors = example(2, spread);
      auto exact = example(2, spread);
      for (size_t index = 0; index < 2; ++index) {
        tensors.state[0][index] = tensors.state[0][index].to(torch::kBFloat16);
        exact.state[0][index] = tensors.state[0][index].to(torch::kFloat32);
      }
      adamw_update(step, tensors);
      adamw_update(step, exact);
      for (size_t index = 0; index < 2; ++index) {
        EXPECT_TRUE(all_close(tensors.parameters[index], exact.parameters[index]));
        EXPECT_EQ(tensors.state[0][index].scalar_type(), torch::kBFloat16);
        EXPECT_TRUE(
            torch::equal(tensors.state[0][index], exact.state[0][index].to(torch::kBFloat16)));
      }
    }
  }
}

TEST(OptimizerUpdate, SgdFollowsItsDefinitionOnAllLayouts) {
  const SgdStep step{.lr = 0.02, .decay = 0.3, .momentum = 0.8, .gradient_factor = 0.5};
  const auto start = example(1, /*spread=*/false, torch::kFloat64);
  for (const bool spread : {false, true}) {
    const auto tensors = example(1, spread);
    sgd_update(step, tensors);
    for (size_t index = 0; index < 2; ++index) {
      const auto momentum = 0.8 * start.state[0][index] + 0.5 * start.gradients[index];
      const auto expected = start.parameters[index] * (1 - 0.02 * 0.3) - 0.02 * momentum;
      EXPECT_TRUE(all_close(tensors.parameters[index], expected.to(torch::kFloat32)));
      EXPECT_TRUE(all_close(tensors.state[0][index], momentum.to(torch::kFloat32)));
    }
  }
}

TEST(OptimizerUpdate, ClippingLeavesTheRestToTheUpdate) {
  for (const auto level : kernels::present_levels()) {
    const kernels::ScopedLevel scoped(level);
    for (const bool spread : {false, true}) {
      const auto start = example(0, spread).gradients;
      const double norm =
          torch::cat({start[0].flatten(), start[1]}).to(torch::kFloat64).norm().item<double>();
      for (const double bound : {0.0, 2.0, 1e6}) {
        const auto gradients = example(0, spread).gradients;
        const auto clip = clip_for_update(gradients, bound);
        EXPECT_NEAR(clip.norm.item<double>(), norm, 1e-5 * norm);
        const double factor = bound > 0 && norm > bound ? bound / norm : 1.0;
        EXPECT_TRUE(all_close(gradients[0] * clip.gradient_factor, start[0] * factor));
        EXPECT_TRUE(all_close(gradients[1] * clip.gradient_factor, start[1] * factor));
      }
    }
  }
}

}  // namespace softmoe::optimizer_update_test
