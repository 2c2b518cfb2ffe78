#pragma once
/// Inputs, and a scalar reference in double precision for what the kernels compute.

#include <cstdint>
#include <stdexcept>
#include <vector>

#include "bench/simd/kernels.h"

namespace softmoe::simd {

/// Memory that starts at a page, as the tensors of the library do.
class Buffer {
 public:
  explicit Buffer(int64_t count);
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();
  float* data() { return data_; }

 private:
  float* data_;
};

struct ProductSizes {
  int64_t rows;
  int64_t depth;
  int64_t columns;
};

/// Values between -1 and 1 that depend on `seed` alone.
void fill(float* values, int64_t count, uint32_t seed);

/// `matrix` [depth, columns] as [columns / panel_columns, depth, panel_columns].
void pack_panels(const float* matrix, int64_t depth, int64_t columns, int64_t panel_columns,
                 float* panels);

/// Throws std::runtime_error if `out` is not a [rows, depth] times `matrix` [depth, columns]. At
/// least 16 rows are compared: the last 8 and others.
void check_product(const ProductSizes& sizes, const float* a, const float* matrix,
                   const float* out);

/// Throws std::runtime_error if head.out is not the attention of its inputs.
void check_attention(const Head& head);

}  // namespace softmoe::simd
