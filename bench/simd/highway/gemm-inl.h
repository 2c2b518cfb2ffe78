// The product of kernels.h with highway's vectors. Included once per target, so the guard toggles.
#if defined(SOFTMOE_HIGHWAY_GEMM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SOFTMOE_HIGHWAY_GEMM_INL_H_
#undef SOFTMOE_HIGHWAY_GEMM_INL_H_
#else
#define SOFTMOE_HIGHWAY_GEMM_INL_H_
#endif

#include <hwy/highway.h>

#include "bench/simd/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace softmoe::simd::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::ScalableTag<float>;
using Floats = hn::Vec<Tag>;

inline constexpr int kLanes = HWY_LANES(float);

template <int kRows, int kVectors>
void multiply_tile(int64_t depth, const float* a, int64_t a_stride, const float* b,
                   int64_t b_stride, bool accumulate, float* out, int64_t out_stride) {
  const Tag tag;
  Floats sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
    for (int vector = 0; vector < kVectors; ++vector) {
      sums[row][vector] =
          accumulate ? hn::LoadU(tag, out + row * out_stride + vector * kLanes) : hn::Zero(tag);
    }
  }
  for (int64_t index = 0; index < depth; ++index) {
    // The shorter side of the tile stays in registers, the other one is read vector by vector.
    if constexpr (kRows < kVectors) {
      Floats left[kRows];
#pragma GCC unroll 8
      for (int row = 0; row < kRows; ++row) {
        left[row] = hn::Set(tag, a[row * a_stride + index]);
      }
#pragma GCC unroll 8
      for (int vector = 0; vector < kVectors; ++vector) {
        const Floats right = hn::LoadU(tag, b + vector * kLanes);
#pragma GCC unroll 8
        for (int row = 0; row < kRows; ++row) {
          sums[row][vector] = hn::MulAdd(left[row], right, sums[row][vector]);
        }
      }
    } else {
      Floats right[kVectors];
#pragma GCC unroll 8
      for (int vector = 0; vector < kVectors; ++vector) {
        right[vector] = hn::LoadU(tag, b + vector * kLanes);
      }
#pragma GCC unroll 8
      for (int row = 0; row < kRows; ++row) {
        const Floats left = hn::Set(tag, a[row * a_stride + index]);
#pragma GCC unroll 8
        for (int vector = 0; vector < kVectors; ++vector) {
          sums[row][vector] = hn::MulAdd(left, right[vector], sums[row][vector]);
        }
      }
    }
    b += b_stride;
  }
#pragma GCC unroll 8
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
    for (int vector = 0; vector < kVectors; ++vector) {
      hn::StoreU(sums[row][vector], tag, out + row * out_stride + vector * kLanes);
    }
  }
}

/// Rows left over by whole tiles of kRows + 1 rows.
template <int kRows, int kVectors>
void multiply_rest(int64_t rows, int64_t depth, const float* a, int64_t a_stride, const float* b,
                   int64_t b_stride, bool accumulate, float* out, int64_t out_stride) {
  if constexpr (kRows > 0) {
    if (rows == kRows) {
      multiply_tile<kRows, kVectors>(depth, a, a_stride, b, b_stride, accumulate, out, out_stride);
    } else {
      multiply_rest<kRows - 1, kVectors>(rows, depth, a, a_stride, b, b_stride, accumulate, out,
                                         out_stride);
    }
  }
}

template <int kRows, int kVectors>
void multiply(int64_t rows, int64_t depth, int64_t columns, const float* a, int64_t a_stride,
              const RightFactor& b, float* out, int64_t out_stride) {
  constexpr int64_t kRowBlock = 192;  // of `a`, which stay in the second-level cache
  constexpr int64_t kDepth = 256;     // of a panel, which stays in the first-level cache
  constexpr int64_t kColumns = kVectors * kLanes;
  for (int64_t top = 0; top < rows; top += kRowBlock) {
    const int64_t bottom = top + kRowBlock < rows ? top + kRowBlock : rows;
    for (int64_t panel = 0; panel < columns; panel += b.panel_columns) {
      for (int64_t first = 0; first < depth; first += kDepth) {
        const int64_t count = first + kDepth < depth ? kDepth : depth - first;
        for (int64_t column = 0; column < b.panel_columns; column += kColumns) {
          const float* right =
              b.data + panel / b.panel_columns * b.panel_stride + first * b.row_stride + column;
          int64_t row = top;
          for (; row + kRows <= bottom; row += kRows) {
            multiply_tile<kRows, kVectors>(count, a + row * a_stride + first, a_stride, right,
                                           b.row_stride, first > 0,
                                           out + row * out_stride + panel + column, out_stride);
          }
          multiply_rest<kRows - 1, kVectors>(bottom - row, count, a + row * a_stride + first,
                                             a_stride, right, b.row_stride, first > 0,
                                             out + row * out_stride + panel + column, out_stride);
        }
      }
    }
  }
}

}  // namespace softmoe::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
