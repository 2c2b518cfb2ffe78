#pragma once
/// Tensors of fp64, whose gradients libtorch works out, that the kernels are compared with.

#include <torch/types.h>

#include "kernels/kernel_test.h"
#include "ops/tensor_pointers.h"
#include "support/tensor_matcher.h"

namespace softmoe::test {

inline torch::Dtype dtype_of(Precision precision) {
  return precision == Precision::kBFloat16 ? torch::kBFloat16 : torch::kFloat32;
}

/// Normally distributed values that bf16 represents exactly.
inline torch::Tensor random_tensor(torch::IntArrayRef sizes) {
  return torch::randn(sizes).to(torch::kBFloat16).to(torch::kFloat64);
}

/// Compares with the tolerance of the actual tensor's dtype, as near() of plain.h does.
inline testing::AssertionResult near(const torch::Tensor& actual, const torch::Tensor& expected) {
  const double tolerance =
      actual.scalar_type() == torch::kBFloat16 ? kBf16Tolerance : kFp32Tolerance;
  return all_close(actual, expected, {.absolute = 0, .relative = tolerance});
}

}  // namespace softmoe::test
