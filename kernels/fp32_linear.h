#pragma once
/// A linear map in fp32 and its gradients: the logits of routers, which stay fp32 under any
/// autocast. The outputs are a multiple of 16, and so are the inputs.

#include <cstdint>

namespace softmoe::kernels {

/// Sizes of y [rows, outputs] = x [rows, inputs] weight^T [inputs, outputs].
struct LinearShape {
  int64_t rows;
  int64_t inputs;
  int64_t outputs;
};

struct LinearKernels {
  /// Floats of either packed form.
  int64_t (*packed_linear_size)(const LinearShape& shape);
  /// Packs `weight` [outputs, inputs] for fp32_linear().
  void (*pack_linear)(const LinearShape& shape, const float* weight, float* packed);
  /// Packs `weight` [outputs, inputs] for fp32_linear_d_x().
  void (*pack_linear_transposed)(const LinearShape& shape, const float* weight, float* packed);
  /// Rows [first, last) of y.
  void (*fp32_linear)(const LinearShape& shape, int64_t first, int64_t last, const float* x,
                      const float* packed, float* y);
  /// Rows [first, last) of d_x [rows, inputs] = d_y weight.
  void (*fp32_linear_d_x)(const LinearShape& shape, int64_t first, int64_t last, const float* d_y,
                          const float* packed, float* d_x);
  /// Floats of scratch memory of fp32_linear_d_weight().
  int64_t (*fp32_linear_scratch)(const LinearShape& shape);
  /// Rows [first, last), multiples of 16, of d_weight [outputs, inputs] = d_y^T x.
  void (*fp32_linear_d_weight)(const LinearShape& shape, int64_t first, int64_t last,
                               const float* x, const float* d_y, float* scratch, float* d_weight);
};

}  // namespace softmoe::kernels
