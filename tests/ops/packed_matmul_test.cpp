#include "ops/packed_matmul.h"

#include <gtest/gtest.h>

#include "kernels/level.h"
#include "support/tensor_matcher.h"

namespace softmoe::packed_matmul_test {

using test::all_close;

torch::Tensor random_factor(int64_t rows, int64_t depth, torch::Dtype dtype) {
  return dtype == torch::kInt8 ? torch::randint(-127, 128, {rows, depth}, dtype)
                               : torch::randn({rows, depth}).to(dtype);  // [rows, depth]
}

TEST(PackedMatmul, MultipliesOnEveryLevel) {
  torch::manual_seed(1);
  for (const auto level : kernels::present_levels()) {
    const kernels::ScopedLevel scoped(level);
    for (const auto dtype : {torch::kFloat32, torch::kBFloat16, torch::kInt8}) {
      const auto left = random_factor(213, 76, dtype);
      const auto right = random_factor(45, 76, dtype);
      const auto expected =
          left.to(torch::kFloat64).matmul(right.to(torch::kFloat64).t());  // [rows, columns]
      EXPECT_TRUE(
          all_close(packed_matmul(left, right)().to(torch::kFloat64), expected, {.relative = 1e-6}))
          << enum_name(level) << " " << dtype;
    }
  }
}

TEST(PackedMatmul, RefusesOtherFactors) {
  const auto factor = torch::zeros({3, 8});
  EXPECT_THROW(packed_matmul(factor, torch::zeros({3, 12})), c10::ValueError);
  EXPECT_THROW(packed_matmul(torch::zeros({3, 6}), torch::zeros({3, 6})), c10::ValueError);
  EXPECT_THROW(packed_matmul(factor, factor.to(torch::kInt8)), c10::ValueError);
  EXPECT_THROW(packed_matmul(factor.to(torch::kInt32), factor.to(torch::kInt32)), c10::ValueError);
}

}  // namespace softmoe::packed_matmul_test
