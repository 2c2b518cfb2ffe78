#include "kernels/simd/groups.h"
#include "kernels/simd/vector.h"

namespace softmoe::kernels::SOFTMOE_LEVEL {
namespace {

void adamw(const AdamWConstants& step, int64_t count, const float* gradient, float* parameter,
           Target mean, float* mean_square) {
  const Floats decay = set1(step.decay);
  const Floats rate = set1(step.rate);
  const Floats beta1 = set1(step.beta1);
  const Floats beta2 = set1(step.beta2);
  const Floats rest1 = set1(1.0F - step.beta1);
  const Floats rest2 = set1(1.0F - step.beta2);
  const Floats correction = set1(step.inverse_correction);
  const Floats eps = set1(step.eps);
  const Floats factor = set1(step.gradient_factor);
  for (int64_t at = 0; at < count; at += kLanes) {
    const Mask mask = lanes(at, count);
    const Floats g = mul(factor, load(mask, gradient + at));
    const Floats m = fmadd(beta1, load(mean, at, mask), mul(rest1, g));
    const Floats v = fmadd(beta2, load(mask, mean_square + at), mul(mul(rest2, g), g));
    const Floats divisor = fmadd(sqrt(v), correction, eps);
    const Floats kept = mul(decay, load(mask, parameter + at));
    store(mean, at, mask, m);
    store(mean_square + at, mask, v);
    store(parameter + at, mask, fnmadd(rate, div(m, divisor), kept));
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

const UpdateKernels kUpdateKernels{
    .adamw = adamw, .sum_of_squares = sum_of_squares, .multiply = multiply};

}  // namespace softmoe::kernels::SOFTMOE_LEVEL
