// Packing of the factors of matrix products.

#include "kernels/avx512/math.h"
#include "kernels/gemm.h"

namespace softmoe::kernels {
namespace {

/// Rows that are asked for ahead of time: the processor does not foresee steps of whole rows.
constexpr int64_t kAhead = 16;
/// Columns that pack_rows takes of each row at a time: memory gives long stretches faster.
constexpr int64_t kGroupColumns = 4 * kPanelColumns;

inline void fetch(Source source, int64_t index) {
  const auto* const bytes = source.bf16 != nullptr
                                ? reinterpret_cast<const char*>(source.bf16 + index)
                                : reinterpret_cast<const char*>(source.fp32 + index);
  asm volatile("prefetcht0 %0" : : "m"(*bytes));
  if (source.fp32 != nullptr) {
    asm volatile("prefetcht0 %0" : : "m"(*(bytes + 64)));
  }
}

/// Two rows as pairs: lane c holds upper[c] in its low half and lower[c] in its high half.
inline __m512i pair_rows(Source source, int64_t upper, int64_t lower, bool has_lower,
                         __mmask16 mask) {
  if (source.bf16 != nullptr) {
    const __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, source.bf16 + upper));
    if (!has_lower) {
      return low;
    }
    const __m512i high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, source.bf16 + lower));
    return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
  }
  const __m512 low = _mm512_maskz_loadu_ps(mask, source.fp32 + upper);
  const __m512 high =
      has_lower ? _mm512_maskz_loadu_ps(mask, source.fp32 + lower) : _mm512_setzero_ps();
  // The values of one row, then those of the other, alternate.
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
                                         8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
}

/// 32 values of one row as 16 pairs, those from `count` on zero.
inline __m512i row_pairs(Source source, int64_t index, int64_t count) {
  if (source.bf16 != nullptr) {
    return _mm512_maskz_loadu_epi16(lanes32(0, count), source.bf16 + index);
  }
  const __m512 low = _mm512_maskz_loadu_ps(lanes16(0, count), source.fp32 + index);
  const __m512 high = _mm512_maskz_loadu_ps(lanes16(16, count), source.fp32 + index + 16);
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

/// Half a panel from 16 rows of `w`, of which `count` exist, with `depth` values each. kWhole: all
/// rows exist and the depth is a multiple of 32, which spares the masks.
template <bool kWhole>
inline void pack_columns(Source w, int64_t stride, int64_t depth, int64_t count, Pair* target) {
  for (int64_t at = 0; at < depth; at += 32, target += 16 * kPanelColumns) {
    __m512i rows[16];
    Source row_values = w.offset(at);
#pragma GCC unroll 16
    for (int row = 0; row < 16; ++row, row_values = row_values.offset(stride)) {
      fetch(row_values, 16 * stride);
      rows[row] = kWhole || row < count ? row_pairs(row_values, 0, kWhole ? 32 : depth - at)
                                        : _mm512_setzero_si512();
    }
    transpose(rows);
    const int64_t pairs = kWhole || depth - at >= 32 ? 16 : pairs_of(depth - at);
    for (int64_t row = 0; row < pairs; ++row) {
      _mm512_storeu_si512(target + row * kPanelColumns, rows[row]);
    }
  }
}

}  // namespace

void pack_transposed(Source w, int64_t stride, int64_t depth, int64_t first, int64_t last,
                     Pair* packed) {
  const int64_t pairs = pairs_of(depth);
  for (int64_t column = first; column < last; column += 16) {
    Pair* target = packed + column / kPanelColumns * kPanelColumns * pairs + column % kPanelColumns;
    if (w.fp32 != nullptr && column + 16 <= last && depth % 32 == 0) {
      pack_columns<true>({.fp32 = w.fp32 + column * stride}, stride, depth, 16, target);
    } else {
      pack_columns<false>(w.offset(column * stride), stride, depth, last - column, target);
    }
    if (column + 16 >= last && column % kPanelColumns == 0) {
      // The second half of the last panel is there, but no columns are.
      for (int64_t pair = 0; pair < pairs; ++pair) {
        _mm512_storeu_si512(target + pair * kPanelColumns + 16, _mm512_setzero_si512());
      }
    }
  }
}

void pack_rows(Source b, int64_t stride, int64_t depth, int64_t first, int64_t last, Pair* packed) {
  const int64_t pairs = pairs_of(depth);
  for (int64_t group = first; group < last; group += kGroupColumns) {
    const int64_t end = group + kGroupColumns < last ? group + kGroupColumns : last;
    for (int64_t pair = 0; pair < pairs; ++pair) {
      const bool has_lower = 2 * pair + 1 < depth;
      for (int64_t column = group; column < end; column += kPanelColumns) {
        Pair* const target = packed + column * pairs + pair * kPanelColumns;
        const int64_t upper = 2 * pair * stride + column;
        fetch(b, upper + kAhead * stride);
        fetch(b, upper + (kAhead + 1) * stride);
        _mm512_storeu_si512(target,
                            pair_rows(b, upper, upper + stride, has_lower, lanes16(column, last)));
        _mm512_storeu_si512(target + 16, pair_rows(b, upper + 16, upper + stride + 16, has_lower,
                                                   lanes16(column + 16, last)));
      }
    }
  }
}

void pack_left_transposed(Source y, int64_t stride, int64_t rows, int64_t first, int64_t last,
                          Pair* packed, float* column_sums) {
  const int64_t pairs = pairs_of(rows);
  for (int64_t column = first; column < last; column += 16) {
    const __mmask16 mask = lanes16(column, last);
    Pair* target = packed + column * pairs;
    const bool has_second = column + kTileRows < last;
    __m512 sum = _mm512_setzero_ps();
    for (int64_t pair = 0; pair < pairs; ++pair) {
      const int64_t upper = 2 * pair * stride + column;
      fetch(y, upper + kAhead * stride);
      fetch(y, upper + (kAhead + 1) * stride);
      const __m512i both = pair_rows(y, upper, upper + stride, 2 * pair + 1 < rows, mask);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(target + pair * kTileRows),
                          _mm512_castsi512_si256(both));
      if (has_second) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(target + (pairs + pair) * kTileRows),
                            _mm512_extracti64x4_epi64(both, 1));
      }
      sum = _mm512_add_ps(sum, _mm512_castsi512_ps(_mm512_slli_epi32(both, 16)));
      sum = _mm512_add_ps(sum,
                          _mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32(-65536))));
    }
    if (column_sums != nullptr) {
      const __m512 before = _mm512_maskz_loadu_ps(mask, column_sums + column);
      _mm512_mask_storeu_ps(column_sums + column, mask, _mm512_add_ps(before, sum));
    }
  }
}

void to_bf16(Source source, int64_t source_stride, int64_t rows, int64_t columns, Bf16* target,
             int64_t target_stride) {
  const int64_t even_columns = round_up(columns, 2);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; column += 16) {
      store_bf16(lanes16(column, even_columns), target + row * target_stride + column,
                 load(source, row * source_stride + column, lanes16(column, columns)));
    }
  }
}

}  // namespace softmoe::kernels
