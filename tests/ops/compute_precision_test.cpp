#include "ops/compute_precision.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace softmoe {
namespace {

TEST(ComputePrecision, IsOfFloatingPoint) {
  for (const auto precision :
       {Precision::kFloat32, Precision::kBFloat16, Precision::kFloat16, Precision::kFloat64}) {
    EXPECT_EQ(compute_precision(enum_name(precision), torch::kCPU), precision);
  }
  EXPECT_THROW(compute_precision("int8", torch::kCPU), UsageError);
  EXPECT_THROW(compute_precision("half", torch::kCPU), UsageError);
}

TEST(ComputePrecision, IsBf16OnItsOwnWhereThatIsFast) {
  EXPECT_EQ(compute_precision("auto", torch::kCPU),
            has_fast_bf16(torch::kCPU) ? Precision::kBFloat16 : Precision::kFloat32);
  EXPECT_EQ(compute_precision("auto", torch::kCUDA), Precision::kBFloat16);
}

TEST(ComputePrecision, HasDtypesOfTensorsAndProducts) {
  EXPECT_EQ(tensor_dtype(Precision::kFloat32), torch::kFloat32);
  EXPECT_EQ(tensor_dtype(Precision::kFloat16), torch::kFloat16);
  EXPECT_EQ(tensor_dtype(Precision::kFloat64), torch::kFloat64);
  for (const auto precision : {Precision::kBFloat16, Precision::kInt8, Precision::kInt8Experts}) {
    EXPECT_EQ(tensor_dtype(precision), torch::kBFloat16);
  }
  EXPECT_EQ(product_dtype(Precision::kInt8), torch::kInt8);
  EXPECT_EQ(product_dtype(Precision::kInt8Experts), torch::kBFloat16);
  EXPECT_EQ(product_dtype(Precision::kFloat32), torch::kFloat32);
}

}  // namespace
}  // namespace softmoe
