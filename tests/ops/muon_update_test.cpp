#include "ops/muon_update.h"

#include <cstring>

#include "ops/compute_precision.h"
#include "ops/operator_checks.h"
#include "runtime/arena.h"

namespace softmoe::muon_update_test {

/// Wide, tall, square and odd matrices, and some of experts; every other element of a larger tensor
/// if the gradients are `spread`.
UpdatedTensors example(bool spread) {
  at::manual_seed(11);
  UpdatedTensors tensors;
  tensors.state.resize(1);
  for (const auto& shape : std::vector<std::vector<int64_t>>{
           {24, 70}, {130, 48}, {40, 40}, {9, 35}, {35, 9}, {3, 20, 36}, {3, 37, 21}}) {
    tensors.parameters.push_back(torch::randn(shape));
    auto gradient = torch::randn(shape);
    if (spread) {
      gradient = torch::stack({gradient, gradient}, -1).select(-1, 0);
    }
    tensors.gradients.push_back(gradient);
    tensors.state[0].push_back(torch::randn(shape));
  }
  return tensors;
}

/// The update worked out in fp64.
torch::Tensor exact_move(const MuonStep& step, const torch::Tensor& gradient,
                         const torch::Tensor& mean) {
  const auto g = gradient.to(torch::kFloat64) * step.gradient_factor;
  const auto m = mean.to(torch::kFloat64) * step.momentum + (1 - step.momentum) * g;
  const auto direction = (1 - step.momentum) * g + step.momentum * m;
  return orthogonalized(direction, torch::kFloat64) *
         (-step.lr * muon_factor(gradient.size(-2), gradient.size(-1)));
}

TEST(MuonUpdate, FollowsItsDefinitionOnAllLevelsAndLayouts) {
  const MuonStep step{.lr = 0.02, .decay = 0.3, .momentum = 0.9, .gradient_factor = 0.5};
  const auto start = example(/*spread=*/false);
  for (const auto level : kernels::present_levels()) {
    const kernels::ScopedLevel scoped(level);
    const bool is_short = fastest_precision(torch::kCPU) == Precision::kBFloat16;
    for (const bool spread : {false, true}) {
      const auto tensors = example(spread);
      muon_update(step, tensors);
      for (size_t index = 0; index < start.parameters.size(); ++index) {
        const auto expected = exact_move(step, start.gradients[index], start.state[0][index]);
        const auto moved = tensors.parameters[index].to(torch::kFloat64) -
                           start.parameters[index].to(torch::kFloat64) * (1 - 0.02 * 0.3);
        EXPECT_LT(test::relative_error(moved, expected), is_short ? 0.03 : 1e-3)
            << enum_name(level) << ' ' << start.parameters[index].sizes();
        const auto mean = 0.9 * start.state[0][index] + 0.05 * start.gradients[index];
        EXPECT_TRUE(test::all_close(tensors.state[0][index], mean));
      }
    }
  }
}

TEST(MuonUpdate, DoesNotDependOnTheNumberOfThreads) {
  const auto updated = [](int threads) {
    const int before = at::get_num_threads();
    at::set_num_threads(threads);
    const auto tensors = example(/*spread=*/false);
    muon_update({.lr = 0.1}, tensors);
    at::set_num_threads(before);
    return tensors;
  };
  const auto one = updated(1);
  const auto two = updated(2);
  for (size_t index = 0; index < one.parameters.size(); ++index) {
    EXPECT_TRUE(torch::equal(one.parameters[index], two.parameters[index]));
  }
}

TEST(MuonUpdate, DoesNotDependOnWhatScratchMemoryHolds) {
  const auto updated_after = [](int fill, size_t index) {
    constexpr int64_t kBytes = 1 << 22;
    thread_arena().reset(kBytes);
    std::memset(thread_arena().take<uint8_t>(kBytes), fill, kBytes);
    const auto all = example(/*spread=*/false);
    muon_update({.lr = 0.1}, {.parameters = {all.parameters[index]},
                              .gradients = {all.gradients[index]},
                              .state = {{all.state[0][index]}}});
    return all.parameters[index];
  };
  for (const auto level : kernels::present_levels()) {
    const kernels::ScopedLevel scoped(level);
    for (size_t index = 0; index < example(/*spread=*/false).parameters.size(); ++index) {
      const auto after_zeros = updated_after(0, index);
      EXPECT_TRUE(torch::equal(updated_after(0xFF, index), after_zeros))
          << enum_name(level) << ' ' << after_zeros.sizes();
    }
  }
}

TEST(MuonUpdate, LeavesMatricesWithoutGradientsToTheirDecay) {
  const auto tensors = example(/*spread=*/false);
  const auto start = tensors.parameters[0].clone();
  tensors.gradients[0].zero_();
  tensors.state[0][0].zero_();
  muon_update({.lr = 0.1, .decay = 0.5}, tensors);
  EXPECT_TRUE(test::all_close(tensors.parameters[0], start * 0.95));
}

}  // namespace softmoe::muon_update_test
