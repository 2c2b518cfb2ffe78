#include "kernels/update.h"

#include <array>
#include <bit>
#include <cmath>

#include "kernels/kernel_test.h"

namespace softmoe::kernels::update_test {

using namespace softmoe::test;  // NOLINT: plain C++ to compare with

using UpdateTest = LevelTest;
INSTANTIATE_TEST_SUITE_P(Levels, UpdateTest, every_level(), level_name);

constexpr AdamWConstants kStep{.decay = 0.99F,
                               .rate = 0.02F,
                               .beta1 = 0.875F,
                               .beta2 = 0.96875F,
                               .inverse_correction = 1.5F,
                               .eps = 1e-3F,
                               .gradient_factor = 0.5F};
constexpr std::array<int64_t, 4> kCounts{1, 16, 37, 1000};

TEST_P(UpdateTest, AdamWTakesOneStep) {
  for (const int64_t count : kCounts) {
    const auto gradient = random_matrix(1, count, 1);
    auto parameter = random_matrix(1, count, 2);
    auto mean = random_matrix(1, count, 3);
    auto mean_square = random_matrix(1, count, 4);
    for (auto& value : mean_square.values) {
      value = std::abs(value);
    }
    const auto fp32_gradient = floats(gradient.values);
    auto fp32_parameter = floats(parameter.values);
    auto fp32_mean = floats(mean.values);
    auto fp32_square = floats(mean_square.values);
    table().adamw(kStep, count, fp32_gradient.data(), fp32_parameter.data(),
                  {.fp32 = fp32_mean.data()}, fp32_square.data());
    for (int64_t at = 0; at < count; ++at) {
      const double g = kStep.gradient_factor * gradient.at(0, at);
      double& m = mean.at(0, at);
      double& v = mean_square.at(0, at);
      m = kStep.beta1 * m + (1.0 - kStep.beta1) * g;
      v = kStep.beta2 * v + (1.0 - kStep.beta2) * g * g;
      double& value = parameter.at(0, at);
      value = kStep.decay * value -
              kStep.rate * m / (std::sqrt(v) * kStep.inverse_correction + kStep.eps);
    }
    EXPECT_TRUE(near(fp32_mean, mean.values, kFp32Tolerance)) << count;
    EXPECT_TRUE(near(fp32_square, mean_square.values, kFp32Tolerance)) << count;
    EXPECT_TRUE(near(fp32_parameter, parameter.values, kFp32Tolerance)) << count;
  }
}

TEST_P(UpdateTest, AdamWRoundsAMeanInBf16WhereItIsStored) {
  for (const int64_t count : kCounts) {
    const auto gradient = floats(random_matrix(1, count, 1).values);
    // Values that bf16 holds exactly, so that both updates begin with equal moments.
    auto mean = floats(random_matrix(1, count, 3).values);
    std::vector<Bf16> short_mean(mean.size());
    for (size_t at = 0; at < mean.size(); ++at) {
      short_mean[at] = static_cast<Bf16>(std::bit_cast<uint32_t>(mean[at]) >> 16);
      mean[at] = std::bit_cast<float>(static_cast<uint32_t>(short_mean[at]) << 16);
    }
    auto parameter = floats(random_matrix(1, count, 2).values);
    auto square = std::vector<float>(mean.size(), 0.25F);
    auto short_parameter = parameter;
    auto short_square = square;
    table().adamw(kStep, count, gradient.data(), parameter.data(), {.fp32 = mean.data()},
                  square.data());
    table().adamw(kStep, count, gradient.data(), short_parameter.data(),
                  {.bf16 = short_mean.data()}, short_square.data());
    EXPECT_EQ(short_parameter, parameter);
    EXPECT_EQ(short_square, square);
    for (size_t at = 0; at < mean.size(); ++at) {
      const auto bits = std::bit_cast<uint32_t>(mean[at]);
      const uint32_t nearest_even = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
      EXPECT_EQ(short_mean[at], nearest_even) << at;
    }
  }
}

TEST_P(UpdateTest, SumsSquaresInDoublePrecision) {
  for (const int64_t count : kCounts) {
    const auto values = random_matrix(1, count, 5);
    const auto fp32 = floats(values.values);
    EXPECT_NEAR(table().sum_of_squares(fp32.data(), count), dot(values, values), 1e-9) << count;
  }
}

TEST_P(UpdateTest, MultipliesEveryValueOnce) {
  for (const int64_t count : kCounts) {
    const auto values = random_matrix(1, count, 6);
    auto fp32 = floats(values.values);
    fp32.push_back(7.0F);
    table().multiply(fp32.data(), count, 0.25F);
    for (int64_t at = 0; at < count; ++at) {
      ASSERT_EQ(fp32[static_cast<size_t>(at)], 0.25F * static_cast<float>(values.at(0, at)));
    }
    EXPECT_EQ(fp32.back(), 7.0F);
  }
}

}  // namespace softmoe::kernels::update_test
