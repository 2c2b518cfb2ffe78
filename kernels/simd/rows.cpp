#include "kernels/simd/groups.h"
#include "kernels/simd/vector.h"

namespace softmoe::kernels::SOFTMOE_LEVEL {
namespace {

void copy_row(Source row, int64_t dim, Target out) {
  for (int64_t channel = 0; channel < dim; channel += kLanes) {
    const Mask mask = lanes(channel, dim);
    store(out, channel, mask, load(row, channel, mask));
  }
}

void sum_rows(const RowSum& sum, int64_t dim, Target out) {
  const auto [rows, stride, gate, index, count, accumulate] = sum;
  for (int64_t channel = 0; channel < dim; channel += kLanes) {
    const Mask mask = lanes(channel, dim);
    Floats total = accumulate ? load(out, channel, mask) : zero();
    for (int64_t term = 0; term < count; ++term) {
      const Floats value = load(rows, index[term] * stride + channel, mask);
      total = gate != nullptr ? fmadd(set1(gate[index[term]]), value, total) : add(total, value);
    }
    store(out, channel, mask, total);
  }
}

float scale_row(Source row, Source d_out, float gate, int64_t dim, Target d_row) {
  Floats product = zero();
  const Floats factor = set1(gate);
  for (int64_t channel = 0; channel < dim; channel += kLanes) {
    const Mask mask = lanes(channel, dim);
    const Floats gradient = load(d_out, channel, mask);
    product = fmadd(load(row, channel, mask), gradient, product);
    store(d_row, channel, mask, mul(factor, gradient));
  }
  return sum_of(product);
}

}  // namespace

const RowKernels kRowKernels{.copy_row = copy_row, .sum_rows = sum_rows, .scale_row = scale_row};

}  // namespace softmoe::kernels::SOFTMOE_LEVEL
