#pragma once
/// How far packed engines may be from modules.

#include <torch/types.h>

#include <array>

#include "core/precision.h"

namespace softmoe::test {

/// The precisions that packed engines compute in.
inline constexpr std::array kPackedPrecisions{Precision::kFloat32, Precision::kBFloat16,
                                              Precision::kInt8, Precision::kInt8Experts};

/// The largest relative_error() of `precision`.
inline double packed_error(Precision precision) {
  return precision == Precision::kFloat32 ? 1e-5 : precision == Precision::kInt8 ? 5e-2 : 2e-2;
}

/// Root of the mean square difference over the root of the mean square.
inline double relative_error(const torch::Tensor& actual, const torch::Tensor& expected) {
  return ((actual - expected).norm() / expected.norm()).item<double>();
}

}  // namespace softmoe::test
