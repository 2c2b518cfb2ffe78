#include "kernels/packed_factors.h"

#include "kernels/avx512/math.h"

namespace softmoe::kernels {
namespace {

/// The largest magnitude; NaN if any value is NaN or infinite, which maxima would lose: it gets
/// into the scale, and so into the output.
float largest_magnitude(Source row, int64_t depth) {
  __m512 largest = _mm512_setzero_ps();
  __m512 poison = _mm512_setzero_ps();
  for (int64_t at = 0; at < depth; at += 16) {
    const __m512 value = load(row, at, lanes16(at, depth));
    largest = _mm512_max_ps(largest, _mm512_abs_ps(value));
    poison = _mm512_fmadd_ps(value, _mm512_setzero_ps(), poison);
  }
  return _mm512_reduce_max_ps(largest) + _mm512_reduce_add_ps(poison);
}

/// The ends of a row, with zero between them.
struct RowRange {
  float low;
  float size;  ///< NaN as in largest_magnitude
};

RowRange range_of(Source row, int64_t columns) {
  // Several of each, so that no step waits for the one before.
  constexpr int kLanes = 4;
  __m512 minima[kLanes];
  __m512 maxima[kLanes];
  __m512 poison[kLanes];
#pragma GCC unroll 4
  for (int lane = 0; lane < kLanes; ++lane) {
    minima[lane] = maxima[lane] = poison[lane] = _mm512_setzero_ps();
  }
  for (int64_t first = 0; first < columns; first += 16 * kLanes) {
#pragma GCC unroll 4
    for (int lane = 0; lane < kLanes; ++lane) {
      const int64_t at = first + 16 * lane;
      const __m512 value = load(row, at, lanes16(at, columns));
      minima[lane] = _mm512_min_ps(minima[lane], value);
      maxima[lane] = _mm512_max_ps(maxima[lane], value);
      poison[lane] = _mm512_fmadd_ps(value, _mm512_setzero_ps(), poison[lane]);
    }
  }
#pragma GCC unroll 3
  for (int lane = 1; lane < kLanes; ++lane) {
    minima[0] = _mm512_min_ps(minima[0], minima[lane]);
    maxima[0] = _mm512_max_ps(maxima[0], maxima[lane]);
    poison[0] = _mm512_add_ps(poison[0], poison[lane]);
  }
  const float low = _mm512_reduce_min_ps(minima[0]);
  return {low, _mm512_reduce_max_ps(maxima[0]) - low + _mm512_reduce_add_ps(poison[0])};
}

/// The low byte of 16 integers.
inline void store_bytes(Unit* units, int64_t index, __mmask16 mask, __m512i values) {
  _mm_mask_storeu_epi8(reinterpret_cast<char*>(units) + index, mask, _mm512_cvtepi32_epi8(values));
}

/// Rows that are normalised together, so that a sum does not wait for the one before.
constexpr int kRowsTogether = 4;

/// norm_rows() of kRows rows; kFull: `dim` is a whole number of vectors.
template <bool kFull, int kRows>
void norm_together(const RowNorm& norm, const float* x, int64_t stride, float* fp32,
                   int64_t fp32_stride, Bf16* bf16, int64_t bf16_stride) {
  const int64_t dim = norm.dim;
  const auto lanes = [dim](int64_t at) { return kFull ? __mmask16{0xFFFF} : lanes16(at, dim); };
  const auto value = [=](int row, int64_t at) {
    return _mm512_maskz_loadu_ps(lanes(at), x + row * stride + at);
  };
  const auto size = static_cast<float>(dim);
  __m512 mean[kRows];
  __m512 inverse[kRows];
#pragma GCC unroll 4
  for (int row = 0; row < kRows; ++row) {
    mean[row] = inverse[row] = _mm512_setzero_ps();
  }
  for (int64_t at = 0; at < dim; at += 16) {
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) {
      mean[row] = _mm512_add_ps(mean[row], value(row, at));
    }
  }
#pragma GCC unroll 4
  for (int row = 0; row < kRows; ++row) {
    mean[row] = _mm512_set1_ps(_mm512_reduce_add_ps(mean[row]) / size);
  }
  for (int64_t at = 0; at < dim; at += 16) {
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) {
      const __m512 off = _mm512_maskz_sub_ps(lanes(at), value(row, at), mean[row]);
      inverse[row] = _mm512_fmadd_ps(off, off, inverse[row]);
    }
  }
#pragma GCC unroll 4
  for (int row = 0; row < kRows; ++row) {
    const float variance = _mm512_reduce_add_ps(inverse[row]) / size;
    inverse[row] = _mm512_set1_ps(1.0F / __builtin_sqrtf(variance + norm.eps));
  }
  for (int64_t at = 0; at < dim; at += 16) {
    const __m512 weight = _mm512_maskz_loadu_ps(lanes(at), norm.weight + at);
    const __m512 bias = norm.bias != nullptr ? _mm512_maskz_loadu_ps(lanes(at), norm.bias + at)
                                             : _mm512_setzero_ps();
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) {
      const __m512 off = _mm512_sub_ps(value(row, at), mean[row]);
      const __m512 normed = _mm512_fmadd_ps(off, _mm512_mul_ps(weight, inverse[row]), bias);
      if (fp32 != nullptr) {
        _mm512_mask_storeu_ps(fp32 + row * fp32_stride + at, lanes(at), normed);
      }
      if (bf16 != nullptr) {
        store_bf16(lanes(at), bf16 + row * bf16_stride + at, normed);
      }
    }
  }
}

}  // namespace

void encode_row(Precision precision, Source row, int64_t depth, float factor, Unit* units) {
  const __m512 by = _mm512_set1_ps(factor);
  const int64_t padded = units_of(precision, depth) * values_per_unit(precision);
  for (int64_t at = 0; at < depth; at += 16) {
    const __m512 value = _mm512_mul_ps(by, load(row, at, lanes16(at, depth)));
    const __mmask16 mask = lanes16(at, padded);
    if (precision == Precision::kFloat32) {
      _mm512_mask_storeu_ps(reinterpret_cast<float*>(units) + at, mask, value);
    } else {
      store_bf16(mask, reinterpret_cast<Bf16*>(units) + at, value);
    }
  }
}

float encode_row_int8(Source row, int64_t depth, float factor, int64_t chunk, Unit* units,
                      int32_t* sums, int64_t stride) {
  const float largest = largest_magnitude(row, depth);
  const __m512 inverse = _mm512_set1_ps(largest > 0.0F ? 127.0F / largest : 0.0F);
  const int64_t padded = round_up(depth, 4);
  for (int64_t first = 0; first < depth; first += chunk) {
    const int64_t last = first + chunk < depth ? first + chunk : depth;
    __m512i sum = _mm512_setzero_si512();
    for (int64_t at = first; at < last; at += 16) {
      const __m512 value = _mm512_mul_ps(inverse, load(row, at, lanes16(at, last)));
      const __m512i integers = _mm512_cvtps_epi32(value);
      sum = _mm512_add_epi32(sum, integers);
      store_bytes(units, at, lanes16(at, last == depth ? padded : last), integers);
    }
    sums[first / chunk * stride] = _mm512_reduce_add_epi32(sum);
  }
  // The factor's sign and size go into the scale.
  return largest / 127.0F * factor;
}

void pack_panel(const Unit* rows, int64_t stride, int64_t count, int64_t units, Unit* panel) {
  for (int64_t unit = 0; unit < units; unit += 16) {
    const __mmask16 mask = lanes16(unit, units);
    const int64_t lines = units - unit < 16 ? units - unit : 16;
    for (int64_t column = 0; column < kUnitColumns; column += 16) {
      __m512i block[16];
#pragma GCC unroll 16
      for (int64_t line = 0; line < 16; ++line) {
        block[line] = column + line < count
                          ? _mm512_maskz_loadu_epi32(mask, rows + (column + line) * stride + unit)
                          : _mm512_setzero_si512();
      }
      transpose(block);
      for (int64_t line = 0; line < lines; ++line) {
        _mm512_storeu_si512(panel + (unit + line) * kUnitColumns + column, block[line]);
      }
    }
  }
}

void pack_depth_unit(Precision precision, Source first, Source second, int64_t columns,
                     Unit* target, int64_t panel_stride) {
  const bool has_second = second.fp32 != nullptr || second.bf16 != nullptr;
  for (int64_t column = 0; column < columns; column += 16) {
    const __mmask16 mask = lanes16(column, columns);
    Unit* const at = target + column / kUnitColumns * panel_stride + column % kUnitColumns;
    const __m512 upper = load(first, column, mask);
    if (precision == Precision::kFloat32) {
      _mm512_storeu_ps(reinterpret_cast<float*>(at), upper);
      continue;
    }
    const __m512 lower = has_second ? load(second, column, mask) : _mm512_setzero_ps();
    const __m512i low = _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(upper)));
    const __m512i high =
        _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(lower)));
    _mm512_storeu_si512(at, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
  }
}

void quantize_bytes(Source rows, int64_t stride, int64_t count, int64_t columns, Unit* out,
                    int64_t out_stride, float* scales, float* zeros) {
  const int64_t padded = round_up(columns, 4);
  for (int64_t row = 0; row < count; ++row) {
    const Source values = rows.offset(row * stride);
    const auto [low, range] = range_of(values, columns);
    const float scale = range / 255.0F;
    const float inverse = range > 0.0F ? 255.0F / range : 0.0F;
    const float zero = __builtin_rintf(-low * inverse);
    scales[row] = scale;
    zeros[row] = zero;
    for (int64_t at = 0; at < columns; at += 16) {
      const __m512 value = load(values, at, lanes16(at, columns));
      const __m512i integers =
          _mm512_cvtps_epi32(_mm512_fmadd_ps(value, _mm512_set1_ps(inverse), _mm512_set1_ps(zero)));
      const __m128i bytes =
          _mm512_cvtusepi32_epi8(_mm512_max_epi32(integers, _mm512_setzero_si512()));
      auto* const target = reinterpret_cast<char*>(out + row * out_stride) + at;
      // Stores under a mask are much slower.
      if (at + 16 <= columns) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(target), bytes);
      } else {
        _mm_mask_storeu_epi8(target, lanes16(at, padded), bytes);
      }
    }
  }
}

void quantize_planes(const Bf16* rows, int64_t stride, int64_t count, int64_t columns, Unit* out,
                     int64_t out_stride, float* scales) {
  const int64_t padded = round_up(columns, 4);
  for (int64_t row = 0; row < count; ++row) {
    const Source values{.bf16 = rows + row * stride};
    const float largest = largest_magnitude(values, columns);
    const __m512 inverse = _mm512_set1_ps(largest > 0.0F ? 32767.0F / largest : 0.0F);
    scales[row] = largest / 32767.0F;
    Unit* const high = out + 2 * row * out_stride;
    Unit* const low = high + out_stride;
    for (int64_t at = 0; at < columns; at += 16) {
      const __mmask16 mask = lanes16(at, padded);
      const __m512 value = _mm512_mul_ps(inverse, load(values, at, lanes16(at, columns)));
      const __m512i integers =
          _mm512_add_epi32(_mm512_cvtps_epi32(value), _mm512_set1_epi32(32768));
      store_bytes(high, at, mask, _mm512_srli_epi32(integers, 8));
      store_bytes(low, at, mask, integers);
    }
  }
}

void norm_rows(const RowNorm& norm, const float* x, int64_t stride, int64_t count, float* fp32,
               int64_t fp32_stride, Bf16* bf16, int64_t bf16_stride) {
  const bool is_full = norm.dim % 16 == 0;
  const auto norm_group =
      is_full ? norm_together<true, kRowsTogether> : norm_together<false, kRowsTogether>;
  const auto norm_one = is_full ? norm_together<true, 1> : norm_together<false, 1>;
  for (int64_t row = 0; row < count;) {
    const bool is_group = row + kRowsTogether <= count;
    const auto norm_next = is_group ? norm_group : norm_one;
    norm_next(norm, x + row * stride, stride, fp32 != nullptr ? fp32 + row * fp32_stride : nullptr,
              fp32_stride, bf16 != nullptr ? bf16 + row * bf16_stride : nullptr, bf16_stride);
    row += is_group ? kRowsTogether : 1;
  }
}

void inverse_norms(const float* rows, int64_t stride, int64_t count, int64_t dim, float eps,
                   float* inverse) {
  for (int64_t row = 0; row < count; ++row) {
    __m512 sum = _mm512_setzero_ps();
    for (int64_t at = 0; at < dim; at += 16) {
      const __m512 value = _mm512_maskz_loadu_ps(lanes16(at, dim), rows + row * stride + at);
      sum = _mm512_fmadd_ps(value, value, sum);
    }
    inverse[row] = 1.0F / __builtin_sqrtf(_mm512_reduce_add_ps(sum) + eps);
  }
}

void exponential_rows(const float* rows, int64_t stride, int64_t count, int64_t columns,
                      int64_t padded, Target out, int64_t out_stride, float* inverse_sums) {
  for (int64_t row = 0; row < count; ++row) {
    __m512 sum = _mm512_setzero_ps();
    for (int64_t at = 0; at < padded; at += 16) {
      const __mmask16 mask = lanes16(at, columns);
      const __m512 power = _mm512_maskz_mov_ps(
          mask, exp_exact(_mm512_maskz_loadu_ps(mask, rows + row * stride + at)));
      sum = _mm512_add_ps(sum, power);
      const int64_t target = row * out_stride + at;
      if (out.bf16 != nullptr) {
        store_bf16(lanes16(at, padded), out.bf16 + target, power);
      } else {
        _mm512_mask_storeu_ps(out.fp32 + target, lanes16(at, padded), power);
      }
    }
    inverse_sums[row] = 1.0F / _mm512_reduce_add_ps(sum);
  }
}

void inverse_column_sums(Source values, int64_t stride, int64_t rows, int64_t columns,
                         float* inverse_sums) {
  for (int64_t column = 0; column < columns; column += 16) {
    const __mmask16 mask = lanes16(column, columns);
    __m512 sum = _mm512_setzero_ps();
    for (int64_t row = 0; row < rows; ++row) {
      sum = _mm512_add_ps(sum, load(values, row * stride + column, mask));
    }
    _mm512_mask_storeu_ps(inverse_sums + column, mask, _mm512_div_ps(_mm512_set1_ps(1.0F), sum));
  }
}

}  // namespace softmoe::kernels
