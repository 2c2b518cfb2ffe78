#pragma once
/// Every level against the portable one, where all of them have to compute the same bits.

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "kernels/kernel_test.h"

namespace softmoe::kernels {

using test::Bf16s;
using test::Floats;
using Units = std::vector<Unit>;

/// function(kernels) gives equal results for the kernels of every level.
template <typename Function>
void expect_equal(const Function& function) {
  const auto expected = function(table_of(Level::kPortable));
  test::on_every_level([&] { EXPECT_EQ(function(table()), expected); });
}

/// A function of `precision` and sizes for all that are tested.
template <typename Function>
void for_each_size(const Function& function) {
  for (const auto precision : test::kKernelPrecisions) {
    for (const auto& [rows, columns] :
         {std::pair<int64_t, int64_t>{1, 1}, {3, 5}, {7, 33}, {16, 64}, {37, 150}}) {
      SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(columns) + " in " +
                   enum_name(precision));
      function(precision, rows, columns);
    }
  }
}

/// fp32 values that bf16 does not represent, and what is easily lost: -0, NaN and infinities.
inline Floats lively_values(int64_t count, uint32_t seed) {
  auto values = test::floats(test::random_matrix(1, count, seed).values);
  const std::array<float, 5> special{-0.0F, INFINITY, -INFINITY, NAN, 3.0e38F};
  for (size_t at = 0; at < values.size(); ++at) {
    values[at] *= 1.0F + 1e-3F * static_cast<float>(at % 7);
    if (at % 11 == 3) {
      values[at] = special[at / 11 % special.size()];
    }
  }
  return values;
}

/// Finite ones.
inline Floats finite_values(int64_t count, uint32_t seed) {
  auto values = lively_values(count, seed);
  for (auto& value : values) {
    value = std::abs(value) < 100.0F ? value : 1.5F;
  }
  return values;
}

inline Bf16s rounded(const Floats& values) { return test::bf16s({values.begin(), values.end()}); }

/// The bits, which are equal for NaN too.
inline Units bits_of(const Floats& values) {
  Units bits(values.size());
  std::transform(values.begin(), values.end(), bits.begin(),
                 [](float value) { return std::bit_cast<Unit>(value); });
  return bits;
}

}  // namespace softmoe::kernels
