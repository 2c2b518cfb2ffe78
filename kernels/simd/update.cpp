#include "kernels/simd/groups.h"
#include "kernels/simd/moment_code.h"
#include "kernels/simd/vector.h"

namespace softmoe::kernels::SOFTMOE_LEVEL {
namespace {

/// AdamW with the constants of a step in vectors.
class AdamW {
 public:
  explicit AdamW(const AdamWConstants& step)
      : decay_(set1(step.decay)),
        rate_(set1(step.rate)),
        beta1_(set1(step.beta1)),
        beta2_(set1(step.beta2)),
        rest1_(set1(1.0F - step.beta1)),
        rest2_(set1(1.0F - step.beta2)),
        correction_(set1(step.inverse_correction)),
        eps_(set1(step.eps)),
        factor_(set1(step.gradient_factor)) {}

  /// Updates the moments, and the parameters in memory.
  [[gnu::always_inline]] void update(Mask mask, const float* gradient, float* parameter,
                                     Floats& mean, Floats& mean_square) const {
    const Floats g = mul(factor_, load(mask, gradient));
    mean = fmadd(beta1_, mean, mul(rest1_, g));
    mean_square = fmadd(beta2_, mean_square, mul(mul(rest2_, g), g));
    const Floats divisor = fmadd(sqrt(mean_square), correction_, eps_);
    const Floats kept = mul(decay_, load(mask, parameter));
    store(parameter, mask, fnmadd(rate_, div(mean, divisor), kept));
  }

 private:
  Floats decay_, rate_, beta1_, beta2_, rest1_, rest2_, correction_, eps_, factor_;
};

void adamw(const AdamWConstants& step, int64_t count, const float* gradient, float* parameter,
           Target mean, float* mean_square) {
  const AdamW adamw(step);
  for (int64_t at = 0; at < count; at += kLanes) {
    const Mask mask = lanes(at, count);
    Floats m = load(mean, at, mask);
    Floats v = load(mask, mean_square + at);
    adamw.update(mask, gradient + at, parameter + at, m, v);
    store(mean, at, mask, m);
    store(mean_square + at, mask, v);
  }
}

/// A scale and what values are multiplied by to be at most 1. Blocks of nothing but values below
/// 2^-126, whose inverse is infinite, become zero.
struct Scale {
  explicit Scale(Floats largest) : value(max_of(largest)) {
    if (value < 0x1p-126F) {
      value = 0.0F;
    }
    inverse = value > 0.0F ? 1.0F / value : 0.0F;
  }
  float value;
  float inverse;
};

void adamw_8bit(const AdamWConstants& step, int64_t count, const float* gradient, float* parameter,
                MomentCodes mean, MomentCodes mean_square) {
  using Means = MomentCode</*kHasSign=*/true>;
  using Squares = MomentCode</*kHasSign=*/false>;
  const AdamW adamw(step);
  float means[kMomentBlock];
  float squares[kMomentBlock];
  for (int64_t first = 0; first < count; first += kMomentBlock) {
    const int64_t end = first + kMomentBlock < count ? first + kMomentBlock : count;
    float& mean_scale = mean.scales[first / kMomentBlock];
    float& square_scale = mean_square.scales[first / kMomentBlock];
    Floats largest_mean = zero();
    Floats largest_square = zero();
    for (int64_t at = first; at < end; at += kLanes) {
      const Mask mask = lanes(at, end);
      Floats m = Means::decode(load_bytes(mask, mean.codes + at), set1(mean_scale));
      Floats v = Squares::decode(load_bytes(mask, mean_square.codes + at), set1(square_scale));
      adamw.update(mask, gradient + at, parameter + at, m, v);
      largest_mean = max(mask, largest_mean, abs(m));
      largest_square = max(mask, largest_square, v);
      store(means + (at - first), m);
      store(squares + (at - first), v);
    }
    const Scale of_means(largest_mean);
    const Scale of_squares(largest_square);
    mean_scale = of_means.value;
    square_scale = of_squares.value;
    for (int64_t at = first; at < end; at += kLanes) {
      const Mask mask = lanes(at, end);
      const Floats m = load(means + (at - first));
      const Floats v = load(squares + (at - first));
      store_bytes(mean.codes + at, mask, Means::encode(m, set1(of_means.inverse)));
      store_bytes(mean_square.codes + at, mask, Squares::encode(v, set1(of_squares.inverse)));
    }
  }
}

double muon_direction(const MuonConstants& step, int64_t count, const float* gradient, float* mean,
                      float* direction) {
  const Floats kept = set1(step.momentum);
  const Floats rest = set1(1.0F - step.momentum);
  const Floats factor = set1(step.gradient_factor);
  SquareSum sum;
  for (int64_t at = 0; at < count; at += kLanes) {
    const Mask mask = lanes(at, count);
    const Floats g = mul(factor, load(mask, gradient + at));
    const Floats m = fmadd(kept, load(mask, mean + at), mul(rest, g));
    const Floats d = fmadd(kept, m, mul(rest, g));
    store(mean + at, mask, m);
    store(direction + at, mask, d);
    sum.add(d);
  }
  return sum.total();
}

void move(float keep, float rate, int64_t count, Source direction, float* parameter) {
  const Floats kept = set1(keep);
  const Floats by = set1(rate);
  for (int64_t at = 0; at < count; at += kLanes) {
    const Mask mask = lanes(at, count);
    const Floats value = mul(kept, load(mask, parameter + at));
    store(parameter + at, mask, fnmadd(by, load(direction, at, mask), value));
  }
}

double sum_of_squares(const float* values, int64_t count) {
  SquareSum sum;
  for (int64_t at = 0; at < count; at += kLanes) {
    sum.add(load(lanes(at, count), values + at));
  }
  return sum.total();
}

void multiply(float* values, int64_t count, float factor) {
  const Floats by = set1(factor);
  for (int64_t at = 0; at < count; at += kLanes) {
    const Mask mask = lanes(at, count);
    store(values + at, mask, mul(by, load(mask, values + at)));
  }
}

}  // namespace

const UpdateKernels kUpdateKernels{.adamw = adamw,
                                   .adamw_8bit = adamw_8bit,
                                   .muon_direction = muon_direction,
                                   .move = move,
                                   .sum_of_squares = sum_of_squares,
                                   .multiply = multiply};

}  // namespace softmoe::kernels::SOFTMOE_LEVEL
