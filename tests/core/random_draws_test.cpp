#include "core/random_draws.h"

#include <gtest/gtest.h>

#include <cmath>

namespace softmoe {
namespace {

constexpr int kManyDraws = 20'000;

TEST(RandomDraws, GammaHasItsMeanAndVariance) {
  for (const double shape : {0.2, 1.0, 3.5}) {
    Rng rng(11);
    double sum = 0.0;
    double squares = 0.0;
    for (int draw = 0; draw < kManyDraws; ++draw) {
      const double value = draw_gamma(shape, rng);
      sum += value;
      squares += value * value;
    }
    const double mean = sum / kManyDraws;
    EXPECT_NEAR(mean, shape, 0.05 * std::max(1.0, shape)) << shape;
    EXPECT_NEAR(squares / kManyDraws - mean * mean, shape, 0.1 * std::max(1.0, shape)) << shape;
  }
}

TEST(RandomDraws, BetaHasItsMeanAndVarianceEvenIfItIsNarrow) {
  for (const auto& [a, b] : {std::pair{0.2, 0.2}, {1.0, 3.0}, {1e-4, 1e-4}, {1000.0, 1000.0}}) {
    Rng rng(12);
    double sum = 0.0;
    double squares = 0.0;
    for (int draw = 0; draw < kManyDraws; ++draw) {
      const double value = draw_beta(a, b, rng);
      ASSERT_TRUE(value >= 0.0 && value <= 1.0) << a;
      sum += value;
      squares += value * value;
    }
    const double mean = sum / kManyDraws;
    EXPECT_NEAR(mean, a / (a + b), 0.015) << a;
    EXPECT_NEAR(squares / kManyDraws - mean * mean, a * b / ((a + b) * (a + b) * (a + b + 1)), 0.01)
        << a;
  }
}

}  // namespace
}  // namespace softmoe
