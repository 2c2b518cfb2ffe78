#include "kernels/simd/fp32_gemm.h"
#include "kernels/simd/groups.h"
#include "kernels/simd/panels.h"

namespace softmoe::kernels::SOFTMOE_LEVEL {
namespace {

/// Rows that go through all panels of the weight before the next ones do.
constexpr int64_t kLinearRows = 128;
/// Rows whose gradients are added up at a time.
constexpr int64_t kSummedRows = 256;

int64_t packed_linear_size(const LinearShape& shape) {
  return round_up(shape.inputs, kPanel) * round_up(shape.outputs, kPanel);
}

void pack_linear(const LinearShape& shape, const float* weight, float* packed) {
  for (int64_t output = 0; output < shape.outputs; output += 16) {
    for (int64_t input = 0; input < shape.inputs; input += 16) {
      fp32_transpose(weight + output * shape.inputs + input, shape.inputs, /*rows=*/16,
                     /*columns=*/16,
                     packed + (output / kPanel * shape.inputs + input) * kPanel + output % kPanel,
                     kPanel);
    }
  }
}

void pack_linear_transposed(const LinearShape& shape, const float* weight, float* packed) {
  for (int64_t output = 0; output < shape.outputs; ++output) {
    to_panels({.fp32 = weight + output * shape.inputs}, shape.inputs, output, shape.outputs,
              packed);
  }
}

void fp32_linear(const LinearShape& shape, int64_t first, int64_t last, const float* x,
                 const float* packed, float* y) {
  for (int64_t row = first; row < last; row += kLinearRows) {
    const int64_t count = last - row < kLinearRows ? last - row : kLinearRows;
    panels_product(as_rows(x + row * shape.inputs, shape.inputs), count, packed, shape.inputs,
                   shape.inputs, shape.outputs, /*accumulate=*/false, y + row * shape.outputs,
                   shape.outputs);
  }
}

void fp32_linear_d_x(const LinearShape& shape, int64_t first, int64_t last, const float* d_y,
                     const float* packed, float* d_x) {
  for (int64_t row = first; row < last; row += kLinearRows) {
    const int64_t count = last - row < kLinearRows ? last - row : kLinearRows;
    panels_product(as_rows(d_y + row * shape.outputs, shape.outputs), count, packed, shape.outputs,
                   shape.outputs, shape.inputs, /*accumulate=*/false, d_x + row * shape.inputs,
                   shape.inputs);
  }
}

int64_t fp32_linear_scratch(const LinearShape& shape) {
  return kSummedRows * (round_up(shape.inputs, kPanel) + kPanel);
}

void fp32_linear_d_weight(const LinearShape& shape, int64_t first, int64_t last, const float* x,
                          const float* d_y, float* scratch, float* d_weight) {
  float* const d_y_panel = scratch;
  float* const x_panels = scratch + kSummedRows * kPanel;
  for (int64_t row = 0; row < shape.rows; row += kSummedRows) {
    const int64_t count = shape.rows - row < kSummedRows ? shape.rows - row : kSummedRows;
    for (int64_t at = 0; at < count; ++at) {
      to_panels({.fp32 = x + (row + at) * shape.inputs}, shape.inputs, at, count, x_panels);
    }
    for (int64_t output = first; output < last; output += kPanel) {
      const int64_t outputs = last - output < kPanel ? last - output : kPanel;
      for (int64_t at = 0; at < count; ++at) {
        to_panels({.fp32 = d_y + (row + at) * shape.outputs + output}, outputs, at, count,
                  d_y_panel);
      }
      panels_product(as_columns(d_y_panel, kPanel), outputs, x_panels, count, count, shape.inputs,
                     /*accumulate=*/row > 0, d_weight + output * shape.inputs, shape.inputs);
    }
  }
}

}  // namespace

const LinearKernels kLinearKernels{.packed_linear_size = packed_linear_size,
                                   .pack_linear = pack_linear,
                                   .pack_linear_transposed = pack_linear_transposed,
                                   .fp32_linear = fp32_linear,
                                   .fp32_linear_d_x = fp32_linear_d_x,
                                   .fp32_linear_scratch = fp32_linear_scratch,
                                   .fp32_linear_d_weight = fp32_linear_d_weight};

}  // namespace softmoe::kernels::SOFTMOE_LEVEL
