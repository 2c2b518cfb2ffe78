#pragma once
/// Moments of optimizers in 8 bits: blocks of values are divided by their largest magnitude, and
/// each quotient becomes the nearest of 256 numbers, which lie the closer the nearer to 0.
/// Source: Dettmers et al., arXiv:2110.02861, sections 2.1 and 2.2 (block-wise dynamic
/// quantization), with blocks of 256 values as bitsandbytes has them.

#include <torch/types.h>

#include <array>
#include <cstdint>

namespace softmoe {

/// Values that share a scale.
inline constexpr int64_t kMomentBlock = 256;
/// Number of scales of `count` values.
inline constexpr int64_t moment_blocks(int64_t count) {
  return (count + kMomentBlock - 1) / kMomentBlock;
}

/// The numbers that codes stand for, in ascending order, and how values find them. The kernel of
/// adamw_8bit_update() has arithmetic of its own for both (kernels/simd/moment_code.h).
class MomentCode {
 public:
  /// For means of gradients: numbers in [-1, 1].
  static const MomentCode& of_means();
  /// For mean squares: numbers in [0, 1]. No value above 0 becomes 0, which would leave the
  /// optimizer to divide by its eps alone.
  static const MomentCode& of_squares();

  /// The values [numel], fp32, of `codes` of any shape with `scales` [moment_blocks(numel)].
  torch::Tensor decoded(const torch::Tensor& codes, const torch::Tensor& scales) const;
  /// Writes `values` [numel] fp32 to `codes` of any shape and `scales` [moment_blocks(numel)], all
  /// on one device.
  void encode(const torch::Tensor& values, const torch::Tensor& codes,
              const torch::Tensor& scales) const;

  /// The 256 numbers.
  const std::array<float, 256>& numbers() const { return numbers_; }

 private:
  MomentCode(bool has_sign, bool keeps_above_zero);

  std::array<float, 256> numbers_;
  std::array<float, 255> bounds_;  // a value's code is the number of bounds below it
};

}  // namespace softmoe
