#pragma once
/// Element-wise work of a training step on fp32 memory.

#include <cstdint>

#include "kernels/types.h"

namespace softmoe::kernels {

/// One step of AdamW with everything that depends on the step alone worked out.
struct AdamWConstants {
  float decay;  ///< factor of the parameter: 1 - lr * weight decay
  float rate;   ///< lr / (1 - beta1^step)
  float beta1;
  float beta2;
  float inverse_correction;  ///< 1 / sqrt(1 - beta2^step)
  float eps;
  float gradient_factor;  ///< of the gradient, before anything else
};

/// Values whose moments share a scale, if they are stored in 8 bits.
inline constexpr int64_t kMomentBlock = 256;

/// Moments in 8 bits (ops/quantized_moments.h): codes, and one scale per kMomentBlock codes.
struct MomentCodes {
  uint8_t* codes;
  float* scales;
};

/// One step of Muon's momentum.
struct MuonConstants {
  float momentum;
  float gradient_factor;  ///< of the gradient, before anything else
};

struct UpdateKernels {
  /// Updates `count` parameters and their moments from their gradients. A mean in bf16 is rounded
  /// only where it is stored.
  void (*adamw)(const AdamWConstants& step, int64_t count, const float* gradient, float* parameter,
                Target mean, float* mean_square);
  /// Does as adamw() with moments in 8 bits.
  void (*adamw_8bit)(const AdamWConstants& step, int64_t count, const float* gradient,
                     float* parameter, MomentCodes mean, MomentCodes mean_square);
  /// Updates `count` means of gradients, and gives the direction between gradients and means.
  /// Returns the sum of its squares.
  double (*muon_direction)(const MuonConstants& step, int64_t count, const float* gradient,
                           float* mean, float* direction);
  /// parameter = keep parameter - rate direction, of `count` values.
  void (*move)(float keep, float rate, int64_t count, Source direction, float* parameter);
  /// Sum of the squares of `count` values.
  double (*sum_of_squares)(const float* values, int64_t count);
  /// Multiplies `count` values by `factor`.
  void (*multiply)(float* values, int64_t count, float factor);
};

}  // namespace softmoe::kernels
