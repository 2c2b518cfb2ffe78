#include "ops/entmax.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/tensor_matcher.h"

namespace softmoe::entmax_test {

using test::all_close;

torch::Tensor fp64(const std::vector<double>& values) {
  return torch::tensor(values, torch::kFloat64);
}

/// Two logits have a closed form: with d = difference / 2, roots u - v = d and u^2 + v^2 = 1.
TEST(Entmax15, OfTwoLogitsIsItsClosedForm) {
  for (const double difference : {-3.0, -2.0, -0.7, 0.0, 0.4, 1.9, 2.0, 5.0}) {
    const double half = std::clamp(difference / 2.0, -1.0, 1.0);
    const double sum = std::sqrt(2.0 - half * half);
    const double first = (sum + half) * (sum + half) / 4.0;
    const auto p = entmax15(fp64({difference + 10.0, 10.0}));
    EXPECT_TRUE(all_close(p, fp64({first, 1.0 - first}), {.absolute = 1e-12})) << difference;
  }
}

TEST(Entmax15, IsSquaresAboveOneThresholdThatSumToOne) {
  torch::manual_seed(3);
  for (const double scale : {0.1, 1.0, 10.0, 100.0}) {
    const auto logits = scale * torch::randn({4, 5, 37}, torch::kFloat64);
    const auto p = entmax15(logits);
    EXPECT_TRUE(all_close(p.sum(-1), torch::ones({4, 5}, torch::kFloat64), {.absolute = 1e-12}));
    // One threshold per row: logits / 2 less the roots of the entries that are not zero.
    const auto thresholds = logits / 2.0 - p.sqrt();
    const auto high = torch::where(p.gt(0), thresholds, thresholds.min() - 1.0).amax(-1, true);
    EXPECT_TRUE(all_close(torch::where(p.gt(0), thresholds, high), high.expand_as(p),
                          {.absolute = 1e-7 * scale}));
    EXPECT_TRUE((p.gt(0) | (logits / 2.0).le(high + 1e-7)).all().item<bool>());
  }
}

TEST(Entmax15, OfEqualLogitsIsUniformAndOfOneIsOne) {
  EXPECT_TRUE(all_close(entmax15(torch::full({2, 8}, -3.0)), torch::full({2, 8}, 0.125)));
  EXPECT_TRUE(all_close(entmax15(torch::full({3, 1}, 7.0)), torch::ones({3, 1})));
}

TEST(Entmax15, GivesZerosWhereSoftmaxDoesNot) {
  const auto p = entmax15(torch::tensor({4.0F, 3.5F, 0.0F, -1.0F}));
  EXPECT_GT(p[1].item<float>(), 0.0F);
  EXPECT_EQ(p[2].item<float>(), 0.0F);
  EXPECT_EQ(p[3].item<float>(), 0.0F);
}

TEST(Entmax15, GradientsAreFiniteDifferences) {
  torch::manual_seed(4);
  auto logits = (1.5 * torch::randn({3, 9}, torch::kFloat64)).requires_grad_();
  const auto weights = torch::randn({3, 9}, torch::kFloat64);
  const auto loss = [&](const torch::Tensor& x) { return (entmax15(x) * weights).sum(); };
  loss(logits).backward();
  const torch::NoGradGuard no_grad;
  constexpr double kStep = 1e-6;
  for (int64_t row = 0; row < 3; ++row) {
    for (int64_t column = 0; column < 9; ++column) {
      const auto moved = [&](double step) {
        auto x = logits.detach().clone();
        x[row][column] += step;
        return loss(x).item<double>();
      };
      EXPECT_NEAR(logits.grad()[row][column].item<double>(),
                  (moved(kStep) - moved(-kStep)) / (2.0 * kStep), 1e-6);
    }
  }
}

TEST(Entmax15, RefusesWhatHasNoLastAxis) {
  EXPECT_THROW(entmax15(torch::tensor(1.0F)), c10::ValueError);
  EXPECT_THROW(entmax15(torch::zeros({2, 3}, torch::kInt64)), c10::ValueError);
}

}  // namespace softmoe::entmax_test
