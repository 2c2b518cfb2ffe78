#pragma once
/// Scratch memory for values of fp32 or bf16.

#include <torch/types.h>

#include "core/precision.h"
#include "kernels/table.h"
#include "runtime/arena.h"

namespace softmoe::fused {

/// Bytes of `count` values.
inline size_t values_room(Precision precision, int64_t count) {
  return precision == Precision::kBFloat16 ? Arena::room<kernels::Bf16>(count)
                                           : Arena::room<float>(count);
}

inline kernels::Target take_values(Arena& arena, Precision precision, int64_t count) {
  if (precision == Precision::kBFloat16) {
    return {.bf16 = arena.take<kernels::Bf16>(count)};
  }
  return {.fp32 = arena.take<float>(count)};
}

/// Throws c10::ValueError if `x`, called `name`, is bf16 and products are to be of fp32.
inline void check_values(const char* name, const torch::Tensor& x, Precision precision) {
  TORCH_CHECK_VALUE(precision == Precision::kBFloat16 || x.scalar_type() != torch::kBFloat16, name,
                    ": expected fp32 values, found ", x.scalar_type());
}

/// Returns true if values in `source` have to be rounded to bf16 for products of `precision`.
inline bool is_rounded(kernels::Source source, Precision precision) {
  return precision == Precision::kBFloat16 && source.bf16 == nullptr;
}

/// `rows` rows of `dim` values as products of `precision` take them: rounded into `rounded` if they
/// have to be.
inline kernels::Source rounded_rows(Precision precision, kernels::Source values, int64_t rows,
                                    int64_t dim, kernels::Target rounded) {
  if (!is_rounded(values, precision)) {
    return values;
  }
  kernels::table().to_bf16(values, dim, rows, dim, rounded.bf16, dim);
  return rounded;
}

}  // namespace softmoe::fused
