#include "kernels/gemm.h"

#include <cstring>

#include "kernels/avx512/gelu.h"
#include "kernels/avx512/math.h"

namespace softmoe::kernels {
namespace {

__m512bh as_pairs(__m512i bits) { return reinterpret_cast<__m512bh>(bits); }

/// Two neighbouring bf16 in all lanes. They are copied as bytes: the memory may hold bf16, which
/// must not be read as integers.
__m512bh broadcast_pair(const Pair* pair) {
  int bits = 0;
  std::memcpy(&bits, pair, sizeof(bits));
  return as_pairs(_mm512_set1_epi32(bits));
}

/// Walks through upcoming memory, a column of cache lines after the other.
class Fetcher {
 public:
  explicit Fetcher(const Upcoming& next) : next_(next) {}

  /// The first of the next `count` lines, `stride` apart, or null if all have been fetched.
  const char* take(int64_t count) {
    if (line_ >= next_.lines) {
      return nullptr;
    }
    const char* const first = next_.data + row_ * next_.stride + line_ * 64;
    row_ += count;
    if (row_ >= next_.rows) {
      row_ = 0;
      ++line_;
    }
    return first;
  }
  int64_t stride() const { return next_.stride; }

 private:
  Upcoming next_;
  int64_t row_ = 0;
  int64_t line_ = 0;
};

/// Sums of kRows rows and one panel, into `sums` [kRows, 32], while the lines at `ahead`, `stride`
/// bytes apart, are fetched into the second-level cache. A function of its own: beside the code
/// that follows a product the compiler would not keep all sums in registers.
template <int kRows, bool kFetch>
__attribute__((noinline)) void accumulate(const Pair* left, int64_t row_stride, int64_t pair_stride,
                                          const Pair* panel, int64_t pairs, const float* start,
                                          const char* ahead, int64_t stride, float* sums) {
  __m512 low[kRows];
  __m512 high[kRows];
#pragma GCC unroll 8
  for (int row = 0; row < kRows; ++row) {
    low[row] = _mm512_load_ps(start);
    high[row] = _mm512_load_ps(start + 16);
  }
  for (int64_t pair = 0; pair < pairs; ++pair) {
    const __m512bh right_low = as_pairs(_mm512_loadu_si512(panel));
    const __m512bh right_high = as_pairs(_mm512_loadu_si512(panel + 16));
    if constexpr (kFetch) {
      asm volatile("prefetcht1 %0" : : "m"(*ahead));
      ahead += stride;
    }
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) {
      const __m512bh value = broadcast_pair(left + row * row_stride);
      low[row] = _mm512_dpbf16_ps(low[row], value, right_low);
      high[row] = _mm512_dpbf16_ps(high[row], value, right_high);
    }
    left += pair_stride;
    panel += kPanelColumns;
  }
#pragma GCC unroll 8
  for (int row = 0; row < kRows; ++row) {
    _mm512_store_ps(sums + row * kPanelColumns, low[row]);
    _mm512_store_ps(sums + row * kPanelColumns + 16, high[row]);
  }
}

/// Asks for the cache lines of 32 neighbouring values, which are needed after the next product.
/// (gcc 12 takes functions of nothing but __builtin_prefetch for pure and drops their calls.)
template <typename Value>
inline void fetch(const Value* values) {
  const auto* const bytes = reinterpret_cast<const char*>(values);
  asm volatile("prefetcht0 %0" : : "m"(*bytes));
  if constexpr (sizeof(Value) == 4) {
    asm volatile("prefetcht0 %0" : : "m"(*(bytes + 64)));
  }
}

/// Computes the sums of kRows rows and hands them on as finish(row, columns 0-15, columns 16-31).
/// prepare(row) comes before the sums: rows are far apart in memory, so that what finish() reads
/// and writes would not arrive in time by itself.
template <int kRows, typename Prepare, typename Finish>
inline void tile(const LeftFactor& a, int64_t first_row, const Pair* panel, int64_t pairs,
                 const float* start, Fetcher& fetcher, const Prepare& prepare,
                 const Finish& finish) {
  alignas(64) float sums[kTileRows * kPanelColumns];
  for (int row = 0; row < kRows; ++row) {
    prepare(first_row + row);
  }
  const Pair* const left = a.data + first_row * a.row_stride;
  if (const char* const ahead = fetcher.take(pairs); ahead != nullptr) {
    accumulate<kRows, true>(left, a.row_stride, a.pair_stride, panel, pairs, start, ahead,
                            fetcher.stride(), sums);
  } else {
    accumulate<kRows, false>(left, a.row_stride, a.pair_stride, panel, pairs, start, nullptr, 0,
                             sums);
  }
  for (int row = 0; row < kRows; ++row) {
    finish(first_row + row, _mm512_load_ps(sums + row * kPanelColumns),
           _mm512_load_ps(sums + row * kPanelColumns + 16));
  }
}

/// All rows of one panel.
template <typename Prepare, typename Finish>
inline void panel_rows(const LeftFactor& a, int64_t rows, const Pair* panel, int64_t pairs,
                       const float* start, Fetcher& fetcher, const Prepare& prepare,
                       const Finish& finish) {
  int64_t row = 0;
  for (; row + 8 <= rows; row += 8) {
    tile<8>(a, row, panel, pairs, start, fetcher, prepare, finish);
  }
  if (row + 4 <= rows) {
    tile<4>(a, row, panel, pairs, start, fetcher, prepare, finish);
    row += 4;
  }
  if (row + 2 <= rows) {
    tile<2>(a, row, panel, pairs, start, fetcher, prepare, finish);
    row += 2;
  }
  if (row < rows) {
    tile<1>(a, row, panel, pairs, start, fetcher, prepare, finish);
  }
}

/// Calls prepare(at) and finish(at, mask, columns 0-15, columns 16-31) for every row of every
/// panel, where `at` is the index of the row's first column in matrices with rows `stride` apart.
template <typename Prepare, typename Finish>
inline void product(const GemmShape& shape, const LeftFactor& a, const Pair* b, const float* bias,
                    int64_t stride, const Prepare& prepare, const Finish& finish) {
  Fetcher fetcher(shape.next);
  for (int64_t column = 0; column < shape.columns; column += kPanelColumns) {
    const __mmask32 mask = lanes32(column, shape.columns);
    alignas(64) float start[kPanelColumns] = {};
    if (bias != nullptr) {
      const auto mask_low = static_cast<__mmask16>(mask);
      const auto mask_high = static_cast<__mmask16>(mask >> 16);
      _mm512_store_ps(start, _mm512_maskz_loadu_ps(mask_low, bias + column));
      _mm512_store_ps(start + 16, _mm512_maskz_loadu_ps(mask_high, bias + column + 16));
    }
    panel_rows(
        a, shape.rows, b + column * shape.pairs, shape.pairs, start, fetcher,
        [&](int64_t row) { prepare(row * stride + column); },
        [&](int64_t row, __m512 low, __m512 high) {
          finish(row * stride + column, mask, low, high);
        });
  }
}

inline void store_fp32(float* target, __mmask32 mask, __m512 low, __m512 high) {
  _mm512_mask_storeu_ps(target, static_cast<__mmask16>(mask), low);
  _mm512_mask_storeu_ps(target + 16, static_cast<__mmask16>(mask >> 16), high);
}

template <Activation kGelu>
void gemm_gelu_of(const GemmShape& shape, const LeftFactor& a, const Pair* b, const float* bias,
                  Bf16* before, Bf16* after, int64_t stride) {
  if (before == nullptr) {
    product(
        shape, a, b, bias, stride, [&](int64_t at) { fetch(after + at); },
        [&](int64_t at, __mmask32 mask, __m512 low, __m512 high) {
          store_bf16(mask, after + at, gelu<kGelu>(low, nullptr), gelu<kGelu>(high, nullptr));
        });
    return;
  }
  product(
      shape, a, b, bias, stride,
      [&](int64_t at) {
        fetch(before + at);
        fetch(after + at);
      },
      [&](int64_t at, __mmask32 mask, __m512 low, __m512 high) {
        store_bf16(mask, before + at, low, high);
        store_bf16(mask, after + at, gelu<kGelu>(low, nullptr), gelu<kGelu>(high, nullptr));
      });
}

template <Activation kGelu>
void gemm_gelu_backward_of(const GemmShape& shape, const LeftFactor& a, const Pair* b,
                           const Bf16* before, Bf16* after, Bf16* d_before, int64_t stride) {
  product(
      shape, a, b, /*bias=*/nullptr, stride,
      [&](int64_t at) {
        fetch(before + at);
        fetch(after + at);
        fetch(d_before + at);
      },
      [&](int64_t at, __mmask32 mask, __m512 low, __m512 high) {
        __m512 slope_low;
        __m512 slope_high;
        const __m512 value_low =
            gelu<kGelu>(load_bf16(static_cast<__mmask16>(mask), before + at), &slope_low);
        const __m512 value_high = gelu<kGelu>(
            load_bf16(static_cast<__mmask16>(mask >> 16), before + at + 16), &slope_high);
        store_bf16(mask, after + at, value_low, value_high);
        store_bf16(mask, d_before + at, _mm512_mul_ps(low, slope_low),
                   _mm512_mul_ps(high, slope_high));
      });
}

/// Rows of the output of gemm_left_transposed that are computed for all columns before the next
/// ones are, so that they are written in long stretches.
constexpr int64_t kBlockRows = 4 * kTileRows;

/// Rows [first, last) of one panel of columns.
template <OutputMode kMode>
inline void transposed_rows(int64_t first, int64_t last, int64_t pairs, const Pair* y,
                            const Pair* panel, __mmask32 mask, float* out, int64_t out_stride) {
  alignas(64) const float start[kPanelColumns] = {};
  const auto mask_low = static_cast<__mmask16>(mask);
  const auto mask_high = static_cast<__mmask16>(mask >> 16);
  Fetcher nothing_ahead{Upcoming{}};
  for (int64_t row = first; row < last; row += kTileRows) {
    float* const corner = out + row * out_stride;
    panel_rows(
        LeftFactor{y + row * pairs, 1, kTileRows}, last - row < kTileRows ? last - row : kTileRows,
        panel, pairs, start, nothing_ahead,
        [&](int64_t tile_row) {
          if constexpr (kMode != OutputMode::kStream) {
            fetch(corner + tile_row * out_stride);
          }
        },
        [&](int64_t tile_row, __m512 low, __m512 high) {
          float* const target = corner + tile_row * out_stride;
          if constexpr (kMode == OutputMode::kStream) {
            _mm512_stream_ps(target, low);
            if (mask_high != 0) {
              _mm512_stream_ps(target + 16, high);
            }
            return;
          }
          if constexpr (kMode == OutputMode::kAdd) {
            low = _mm512_add_ps(low, _mm512_maskz_loadu_ps(mask_low, target));
            high = _mm512_add_ps(high, _mm512_maskz_loadu_ps(mask_high, target + 16));
          }
          store_fp32(target, mask, low, high);
        });
  }
}

}  // namespace

Upcoming upcoming(Source matrix, int64_t stride, int64_t rows, int64_t columns) {
  const int64_t size = matrix.bf16 != nullptr ? sizeof(Bf16) : sizeof(float);
  const auto* const data = matrix.bf16 != nullptr ? reinterpret_cast<const char*>(matrix.bf16)
                                                  : reinterpret_cast<const char*>(matrix.fp32);
  constexpr int64_t kLine = 64;
  if (stride == columns) {
    return {.data = data, .stride = kLine, .rows = rows * columns * size / kLine, .lines = 1};
  }
  return {.data = data, .stride = stride * size, .rows = rows, .lines = columns * size / kLine};
}

void gemm(const GemmShape& shape, const LeftFactor& a, const Pair* b, const float* bias,
          const float* residual, Target out, int64_t out_stride) {
  if (out.bf16 != nullptr) {
    product(
        shape, a, b, bias, out_stride, [&](int64_t at) { fetch(out.bf16 + at); },
        [&](int64_t at, __mmask32 mask, __m512 low, __m512 high) {
          store_bf16(mask, out.bf16 + at, low, high);
        });
  } else if (residual != nullptr) {
    product(
        shape, a, b, bias, out_stride,
        [&](int64_t at) {
          fetch(residual + at);
          fetch(out.fp32 + at);
        },
        [&](int64_t at, __mmask32 mask, __m512 low, __m512 high) {
          const auto mask_low = static_cast<__mmask16>(mask);
          const auto mask_high = static_cast<__mmask16>(mask >> 16);
          store_fp32(out.fp32 + at, mask,
                     _mm512_add_ps(low, _mm512_maskz_loadu_ps(mask_low, residual + at)),
                     _mm512_add_ps(high, _mm512_maskz_loadu_ps(mask_high, residual + at + 16)));
        });
  } else {
    product(
        shape, a, b, bias, out_stride, [&](int64_t at) { fetch(out.fp32 + at); },
        [&](int64_t at, __mmask32 mask, __m512 low, __m512 high) {
          store_fp32(out.fp32 + at, mask, low, high);
        });
  }
}

void gemm_left_transposed(int64_t first, int64_t last, int64_t columns, int64_t pairs,
                          const Pair* y, const Pair* x, OutputMode mode, float* out,
                          int64_t out_stride) {
  for (int64_t row = first; row < last; row += kBlockRows) {
    const int64_t end = row + kBlockRows < last ? row + kBlockRows : last;
    for (int64_t column = 0; column < columns; column += kPanelColumns) {
      const Pair* const panel = x + column * pairs;
      const __mmask32 mask = lanes32(column, columns);
      float* const corner = out + column;
      switch (mode) {
        case OutputMode::kReplace:
          transposed_rows<OutputMode::kReplace>(row, end, pairs, y, panel, mask, corner,
                                                out_stride);
          break;
        case OutputMode::kAdd:
          transposed_rows<OutputMode::kAdd>(row, end, pairs, y, panel, mask, corner, out_stride);
          break;
        case OutputMode::kStream:
          transposed_rows<OutputMode::kStream>(row, end, pairs, y, panel, mask, corner, out_stride);
          break;
      }
    }
  }
  if (mode == OutputMode::kStream) {
    _mm_sfence();
  }
}

void gemm_gelu(const GemmShape& shape, const LeftFactor& a, const Pair* b, const float* bias,
               Activation gelu, Bf16* before, Bf16* after, int64_t stride) {
  gelu == Activation::kGeluTanh
      ? gemm_gelu_of<Activation::kGeluTanh>(shape, a, b, bias, before, after, stride)
      : gemm_gelu_of<Activation::kGeluExact>(shape, a, b, bias, before, after, stride);
}

void gemm_gelu_backward(const GemmShape& shape, const LeftFactor& a, const Pair* b, Activation gelu,
                        const Bf16* before, Bf16* after, Bf16* d_before, int64_t stride) {
  gelu == Activation::kGeluTanh
      ? gemm_gelu_backward_of<Activation::kGeluTanh>(shape, a, b, before, after, d_before, stride)
      : gemm_gelu_backward_of<Activation::kGeluExact>(shape, a, b, before, after, d_before, stride);
}

}  // namespace softmoe::kernels
