#include "kernels/update.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>

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

/// The 256 numbers of the dynamic tree with 7 decades (arXiv:2110.02861, section 2.2).
std::vector<double> moment_numbers(bool has_sign) {
  std::vector<double> numbers{0.0, 1.0};
  for (int decade = 0; decade < 7; ++decade) {
    const int intervals = has_sign ? 1 << decade : 2 << decade;
    for (int i = 0; i < intervals; ++i) {
      const double number = std::pow(10.0, decade - 6) * (0.1 + 0.9 * (i + 0.5) / intervals);
      numbers.push_back(number);
      if (has_sign) {
        numbers.push_back(-number);
      }
    }
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

/// The distance of `value` from the nearest of `numbers`.
double nearest_distance(const std::vector<double>& numbers, double value) {
  double distance = std::abs(value - numbers.front());
  for (const double number : numbers) {
    distance = std::min(distance, std::abs(value - number));
  }
  return distance;
}

TEST_P(UpdateTest, AdamWReadsEveryCodeOf8Bits) {
  const auto mean_numbers = moment_numbers(/*has_sign=*/true);
  const auto square_numbers = moment_numbers(/*has_sign=*/false);
  // The moments that are read stay, and the parameters show both of them.
  constexpr AdamWConstants kKeep{.decay = 0.0F,
                                 .rate = 1.0F,
                                 .beta1 = 1.0F,
                                 .beta2 = 1.0F,
                                 .inverse_correction = 1.0F,
                                 .eps = 1.0F,
                                 .gradient_factor = 0.0F};
  std::vector<uint8_t> mean(kMomentBlock);
  std::iota(mean.begin(), mean.end(), uint8_t{0});
  auto square = mean;
  std::reverse(square.begin(), square.end());
  const std::vector<float> gradient(mean.size(), 1.0F);
  std::vector<float> parameter(mean.size(), 1.0F);
  float mean_scale = 3.0F;
  float square_scale = 0.5F;
  table().adamw_8bit(kKeep, kMomentBlock, gradient.data(), parameter.data(),
                     {mean.data(), &mean_scale}, {square.data(), &square_scale});
  std::vector<double> expected;
  for (size_t code = 0; code < mean.size(); ++code) {
    EXPECT_EQ(mean[code], code);
    EXPECT_EQ(square[code], 255 - code);
    expected.push_back(-3.0 * mean_numbers[code] /
                       (std::sqrt(0.5 * square_numbers[255 - code]) + 1.0));
  }
  EXPECT_TRUE(near(parameter, expected, kFp32Tolerance));
  EXPECT_EQ(mean_scale, 3.0F);
  EXPECT_EQ(square_scale, 0.5F);
}

TEST_P(UpdateTest, AdamWWritesTheNearestCodesOf8Bits) {
  const auto mean_numbers = moment_numbers(/*has_sign=*/true);
  const auto square_numbers = moment_numbers(/*has_sign=*/false);
  for (const int64_t count : {int64_t{1}, int64_t{37}, kMomentBlock, 3 * kMomentBlock + 41}) {
    // Gradients of ten magnitudes, and one block of zeros.
    auto gradient = floats(random_matrix(1, count, 1).values);
    for (int64_t at = 0; at < count; ++at) {
      gradient[at] *= static_cast<float>(std::pow(10.0, -(at % 10)));
      if (at / kMomentBlock == 1) {
        gradient[at] = 0.0F;
      }
    }
    auto parameter = floats(random_matrix(1, count, 2).values);
    auto exact_parameter = parameter;
    std::vector<float> exact_mean(gradient.size());
    std::vector<float> exact_square(gradient.size());
    table().adamw(kStep, count, gradient.data(), exact_parameter.data(),
                  {.fp32 = exact_mean.data()}, exact_square.data());
    std::vector<uint8_t> mean(gradient.size() + 1, 77);
    std::vector<uint8_t> square(gradient.size() + 1, 78);
    std::vector<float> mean_scale((gradient.size() + kMomentBlock - 1) / kMomentBlock);
    auto square_scale = mean_scale;  // zeros: codes do not matter
    table().adamw_8bit(kStep, count, gradient.data(), parameter.data(),
                       {mean.data(), mean_scale.data()}, {square.data(), square_scale.data()});
    EXPECT_EQ(parameter, exact_parameter);
    EXPECT_EQ(mean.back(), 77);
    EXPECT_EQ(square.back(), 78);
    for (int64_t at = 0; at < count; ++at) {
      const auto scale = static_cast<double>(mean_scale[at / kMomentBlock]);
      const auto scale_of_squares = static_cast<double>(square_scale[at / kMomentBlock]);
      if (at / kMomentBlock == 1) {
        EXPECT_EQ(scale, 0.0);
        EXPECT_EQ(scale_of_squares, 0.0);
        continue;
      }
      const double m = static_cast<double>(exact_mean[at]) / scale;
      const double v = static_cast<double>(exact_square[at]) / scale_of_squares;
      EXPECT_LE(std::abs(mean_numbers[mean[at]] - m), nearest_distance(mean_numbers, m) + 1e-7);
      if (v > 0.0 && v < square_numbers[1]) {
        EXPECT_EQ(square[at], 1);  // no mean square above 0 becomes 0
      } else {
        EXPECT_LE(std::abs(square_numbers[square[at]] - v),
                  nearest_distance(square_numbers, v) + 1e-7);
      }
    }
  }
}

TEST_P(UpdateTest, MuonLooksAheadFromTheMeanOfGradients) {
  constexpr MuonConstants kMuon{.momentum = 0.875F, .gradient_factor = 0.5F};
  for (const int64_t count : kCounts) {
    const auto gradient = random_matrix(1, count, 1);
    auto mean = random_matrix(1, count, 2);
    auto fp32_mean = floats(mean.values);
    std::vector<float> direction(fp32_mean.size());
    const double squares = table().muon_direction(kMuon, count, floats(gradient.values).data(),
                                                  fp32_mean.data(), direction.data());
    std::vector<double> expected(mean.values.size());
    for (int64_t at = 0; at < count; ++at) {
      const double g = 0.5 * gradient.at(0, at);
      double& m = mean.at(0, at);
      m = 0.875 * m + 0.125 * g;
      expected[static_cast<size_t>(at)] = 0.125 * g + 0.875 * m;
    }
    EXPECT_TRUE(near(fp32_mean, mean.values, kFp32Tolerance)) << count;
    EXPECT_TRUE(near(direction, expected, kFp32Tolerance)) << count;
    const double sum = std::inner_product(expected.begin(), expected.end(), expected.begin(), 0.0);
    EXPECT_NEAR(squares, sum, 1e-5 * (1.0 + sum)) << count;
  }
}

TEST_P(UpdateTest, MovesDecayedParametersAgainstADirectionOfEitherPrecision) {
  for (const int64_t count : kCounts) {
    const auto parameter = random_matrix(1, count, 1);
    // Values that bf16 holds exactly.
    auto direction = floats(random_matrix(1, count, 3).values);
    std::vector<Bf16> rounded(direction.size());
    for (size_t at = 0; at < direction.size(); ++at) {
      rounded[at] = static_cast<Bf16>(std::bit_cast<uint32_t>(direction[at]) >> 16);
      direction[at] = std::bit_cast<float>(static_cast<uint32_t>(rounded[at]) << 16);
    }
    auto moved = floats(parameter.values);
    auto moved_by_bf16 = moved;
    table().move(0.5F, 0.25F, count, {.fp32 = direction.data()}, moved.data());
    table().move(0.5F, 0.25F, count, {.bf16 = rounded.data()}, moved_by_bf16.data());
    EXPECT_EQ(moved_by_bf16, moved) << count;
    for (int64_t at = 0; at < count; ++at) {
      const double expected = 0.5 * parameter.at(0, at) - 0.25 * direction[static_cast<size_t>(at)];
      EXPECT_NEAR(moved[static_cast<size_t>(at)], expected, 1e-6) << count;
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
