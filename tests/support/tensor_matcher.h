#pragma once
/// Comparison of tensors that shows the largest difference.

#include <gtest/gtest.h>
#include <torch/types.h>

namespace softmoe::test {

/// How far two tensors may differ: |actual - expected| <= absolute + relative * max|expected|.
struct Tolerance {
  double absolute = 0.0;
  double relative = 0.0;
};

/// The parity tolerance of the project for a dtype: fp32 2e-6 of the largest value (at least 1),
/// bf16 1e-2, fp64 1e-12.
Tolerance parity_tolerance(torch::Dtype dtype, const torch::Tensor& expected);

/// EXPECT_TRUE(all_close(actual, expected)): on failure prints the largest error, its index, both
/// values and the dtype. Shapes must be equal; NaN never matches.
testing::AssertionResult all_close(const torch::Tensor& actual, const torch::Tensor& expected,
                                   Tolerance tolerance);
/// With parity_tolerance of the actual tensor's dtype.
testing::AssertionResult all_close(const torch::Tensor& actual, const torch::Tensor& expected);

/// Succeeds if two tensors have equal dtype, shape and bits.
testing::AssertionResult same_bits(const torch::Tensor& actual, const torch::Tensor& expected);

}  // namespace softmoe::test
