#include "kernels/simd/groups.h"
#include "kernels/simd/vector.h"

namespace softmoe::kernels::SOFTMOE_LEVEL {
namespace {

template <bool kFull>
void forward(const LayerNormShape& shape, Source x, Target y, float* statistics) {
  const auto count = static_cast<float>(shape.dim);
  for (int64_t row = 0; row < shape.rows; ++row) {
    const int64_t start = row * shape.dim;
    Floats sum = zero();
    for (int64_t channel = 0; channel < shape.dim; channel += kLanes) {
      sum = add(sum, load(x, start + channel, lanes_of<kFull>(channel, shape.dim)));
    }
    const Floats mean = set1(sum_of(sum) / count);
    Floats squares = zero();
    for (int64_t channel = 0; channel < shape.dim; channel += kLanes) {
      const Mask mask = lanes_of<kFull>(channel, shape.dim);
      const Floats off = keep(mask, sub(load(x, start + channel, mask), mean));
      squares = fmadd(off, off, squares);
    }
    const float inverse = 1.0F / __builtin_sqrtf(sum_of(squares) / count + shape.eps);
    for (int64_t channel = 0; channel < shape.dim; channel += kLanes) {
      const Mask mask = lanes_of<kFull>(channel, shape.dim);
      const Floats off = sub(load(x, start + channel, mask), mean);
      const Floats scale = mul(load(mask, shape.weight + channel), set1(inverse));
      const Floats shift = shape.bias != nullptr ? load(mask, shape.bias + channel) : zero();
      store(y, start + channel, mask, fmadd(off, scale, shift));
    }
    statistics[2 * row] = first_lane(mean);
    statistics[2 * row + 1] = inverse;
  }
}

template <bool kFull>
void backward(const LayerNormShape& shape, Source x, const float* statistics, Source d_y,
              const float* d_skip, Target d_x, float* d_affine) {
  const auto count = static_cast<float>(shape.dim);
  for (int64_t row = 0; row < shape.rows; ++row) {
    const int64_t start = row * shape.dim;
    const Floats mean = set1(statistics[2 * row]);
    const Floats inverse = set1(statistics[2 * row + 1]);
    Floats sum = zero();
    Floats product_sum = zero();
    for (int64_t channel = 0; channel < shape.dim; channel += kLanes) {
      const Mask mask = lanes_of<kFull>(channel, shape.dim);
      const Floats unit = keep(mask, mul(sub(load(x, start + channel, mask), mean), inverse));
      const Floats d_out = load(d_y, start + channel, mask);
      const Floats d_unit = mul(d_out, load(mask, shape.weight + channel));
      sum = add(sum, d_unit);
      product_sum = fmadd(d_unit, unit, product_sum);
      float* d_weight = d_affine + channel;
      float* d_bias = d_affine + shape.dim + channel;
      store(d_weight, mask, fmadd(d_out, unit, load(mask, d_weight)));
      store(d_bias, mask, add(d_out, load(mask, d_bias)));
    }
    const Floats mean_d = set1(sum_of(sum) / count);
    const Floats mean_product = set1(sum_of(product_sum) / count);
    for (int64_t channel = 0; channel < shape.dim; channel += kLanes) {
      const Mask mask = lanes_of<kFull>(channel, shape.dim);
      const Floats unit = mul(sub(load(x, start + channel, mask), mean), inverse);
      const Floats d_unit =
          mul(load(d_y, start + channel, mask), load(mask, shape.weight + channel));
      const Floats centred = fnmadd(unit, mean_product, sub(d_unit, mean_d));
      const Floats skip = d_skip != nullptr ? load(mask, d_skip + start + channel) : zero();
      store(d_x, start + channel, mask, fmadd(centred, inverse, skip));
    }
  }
}

void layer_norm_forward(const LayerNormShape& shape, Source x, Target y, float* statistics) {
  shape.dim % kLanes == 0 ? forward<true>(shape, x, y, statistics)
                          : forward<false>(shape, x, y, statistics);
}

void layer_norm_backward(const LayerNormShape& shape, Source x, const float* statistics, Source d_y,
                         const float* d_skip, Target d_x, float* d_affine) {
  shape.dim % kLanes == 0 ? backward<true>(shape, x, statistics, d_y, d_skip, d_x, d_affine)
                          : backward<false>(shape, x, statistics, d_y, d_skip, d_x, d_affine);
}

}  // namespace

const LayerNormKernels kLayerNormKernels{.layer_norm_forward = layer_norm_forward,
                                         .layer_norm_backward = layer_norm_backward};

}  // namespace softmoe::kernels::SOFTMOE_LEVEL
