#include "kernels/simd/groups.h"
#include "kernels/simd/math.h"

namespace softmoe::kernels::SOFTMOE_LEVEL {
namespace {

/// The largest magnitude; NaN if any value is NaN or infinite, which maxima would lose: it gets
/// into the scale, and so into the output.
float largest_magnitude(Source row, int64_t depth) {
  Floats largest = zero();
  Floats poison = zero();
  for (int64_t at = 0; at < depth; at += kLanes) {
    const Floats value = load(row, at, lanes(at, depth));
    largest = max(largest, abs(value));
    poison = fmadd(value, zero(), poison);
  }
  return max_of(largest) + sum_of(poison);
}

/// The ends of a row, with zero between them.
struct RowRange {
  float low;
  float size;  ///< NaN as in largest_magnitude
};

RowRange range_of(Source row, int64_t columns) {
  // Several of each, so that no step waits for the one before.
  constexpr int kChains = 4;
  Floats minima[kChains];
  Floats maxima[kChains];
  Floats poison[kChains];
#pragma GCC unroll 4
  for (int chain = 0; chain < kChains; ++chain) {
    minima[chain] = maxima[chain] = poison[chain] = zero();
  }
  for (int64_t first = 0; first < columns; first += kLanes * kChains) {
#pragma GCC unroll 4
    for (int chain = 0; chain < kChains; ++chain) {
      const int64_t at = first + kLanes * chain;
      const Floats value = load(row, at, lanes(at, columns));
      minima[chain] = min(minima[chain], value);
      maxima[chain] = max(maxima[chain], value);
      poison[chain] = fmadd(value, zero(), poison[chain]);
    }
  }
#pragma GCC unroll 3
  for (int chain = 1; chain < kChains; ++chain) {
    minima[0] = min(minima[0], minima[chain]);
    maxima[0] = max(maxima[0], maxima[chain]);
    poison[0] = add(poison[0], poison[chain]);
  }
  const float low = min_of(minima[0]);
  return {low, max_of(maxima[0]) - low + sum_of(poison[0])};
}

/// Rows that are normalised together, so that a sum does not wait for the one before.
constexpr int kRowsTogether = 4;

/// norm_rows() of kRows rows; kFull: `dim` is a whole number of vectors.
template <bool kFull, int kRows>
void norm_together(const RowNorm& norm, const float* x, int64_t stride, float* fp32,
                   int64_t fp32_stride, Bf16* bf16, int64_t bf16_stride) {
  const int64_t dim = norm.dim;
  const auto mask_at = [dim](int64_t at) { return lanes_of<kFull>(at, dim); };
  const auto value = [=](int row, int64_t at) { return load(mask_at(at), x + row * stride + at); };
  const auto size = static_cast<float>(dim);
  Floats mean[kRows];
  Floats inverse[kRows];
#pragma GCC unroll 4
  for (int row = 0; row < kRows; ++row) {
    mean[row] = inverse[row] = zero();
  }
  for (int64_t at = 0; at < dim; at += kLanes) {
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) {
      mean[row] = add(mean[row], value(row, at));
    }
  }
#pragma GCC unroll 4
  for (int row = 0; row < kRows; ++row) {
    mean[row] = set1(sum_of(mean[row]) / size);
  }
  for (int64_t at = 0; at < dim; at += kLanes) {
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) {
      const Floats off = keep(mask_at(at), sub(value(row, at), mean[row]));
      inverse[row] = fmadd(off, off, inverse[row]);
    }
  }
#pragma GCC unroll 4
  for (int row = 0; row < kRows; ++row) {
    const float variance = sum_of(inverse[row]) / size;
    inverse[row] = set1(1.0F / __builtin_sqrtf(variance + norm.eps));
  }
  for (int64_t at = 0; at < dim; at += kLanes) {
    const Floats weight = load(mask_at(at), norm.weight + at);
    const Floats bias = norm.bias != nullptr ? load(mask_at(at), norm.bias + at) : zero();
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) {
      const Floats off = sub(value(row, at), mean[row]);
      const Floats normed = fmadd(off, mul(weight, inverse[row]), bias);
      if (fp32 != nullptr) {
        store(fp32 + row * fp32_stride + at, mask_at(at), normed);
      }
      if (bf16 != nullptr) {
        store_bf16(bf16 + row * bf16_stride + at, mask_at(at), normed);
      }
    }
  }
}

void encode_row(Precision precision, Source row, int64_t depth, float factor, Unit* units) {
  const Floats by = set1(factor);
  const int64_t padded = units_of(precision, depth) * values_per_unit(precision);
  for (int64_t at = 0; at < depth; at += kLanes) {
    const Floats value = mul(by, load(row, at, lanes(at, depth)));
    const Mask mask = lanes(at, padded);
    if (precision == Precision::kFloat32) {
      store(reinterpret_cast<float*>(units) + at, mask, value);
    } else {
      store_bf16(reinterpret_cast<Bf16*>(units) + at, mask, value);
    }
  }
}

float encode_row_int8(Source row, int64_t depth, float factor, int64_t chunk, Unit* units,
                      int32_t* sums, int64_t stride) {
  const float largest = largest_magnitude(row, depth);
  const Floats inverse = set1(largest > 0.0F ? 127.0F / largest : 0.0F);
  const int64_t padded = round_up(depth, 4);
  for (int64_t first = 0; first < depth; first += chunk) {
    const int64_t last = first + chunk < depth ? first + chunk : depth;
    Ints sum = zero_ints();
    for (int64_t at = first; at < last; at += kLanes) {
      const Floats value = mul(inverse, load(row, at, lanes(at, last)));
      const Ints integers = to_ints(value);
      sum = add(sum, integers);
      store_bytes(reinterpret_cast<char*>(units) + at, lanes(at, last == depth ? padded : last),
                  integers);
    }
    sums[first / chunk * stride] = sum_of(sum);
  }
  // The factor's sign and size go into the scale.
  return largest / 127.0F * factor;
}

void pack_panel(const Unit* rows, int64_t stride, int64_t count, int64_t units, Unit* panel) {
  for (int64_t unit = 0; unit < units; unit += kLanes) {
    const Mask mask = lanes(unit, units);
    const int64_t lines = units - unit < kLanes ? units - unit : kLanes;
    for (int64_t column = 0; column < kPanelColumns; column += kLanes) {
      Ints block[kLanes];
#pragma GCC unroll 16
      for (int64_t line = 0; line < kLanes; ++line) {
        block[line] = column + line < count
                          ? load_ints(mask, rows + (column + line) * stride + unit)
                          : zero_ints();
      }
      transpose(block);
      for (int64_t line = 0; line < lines; ++line) {
        store_ints(panel + (unit + line) * kPanelColumns + column, block[line]);
      }
    }
  }
}

void pack_depth_unit(Precision precision, Source first, Source second, int64_t columns,
                     Unit* target, int64_t panel_stride) {
  const bool has_second = second.fp32 != nullptr || second.bf16 != nullptr;
  for (int64_t column = 0; column < columns; column += kLanes) {
    const Mask mask = lanes(column, columns);
    Unit* const at = target + column / kPanelColumns * panel_stride + column % kPanelColumns;
    const Floats upper = load(first, column, mask);
    if (precision == Precision::kFloat32) {
      store(reinterpret_cast<float*>(at), upper);
      continue;
    }
    const Floats lower = has_second ? load(second, column, mask) : zero();
    store_ints(at, pair_bf16(upper, lower));
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
    const float zero_point = __builtin_rintf(-low * inverse);
    scales[row] = scale;
    zeros[row] = zero_point;
    const Ints zero_steps = to_ints(set1(zero_point));
    for (int64_t at = 0; at < columns; at += kLanes) {
      const Floats value = load(values, at, lanes(at, columns));
      // The zero is added to integers: rounding does not depend on how a product is added.
      const Ints steps = add(to_ints(mul(value, set1(inverse))), zero_steps);
      const Ints integers = clamp(steps, 0, 255);
      auto* const target = reinterpret_cast<char*>(out + row * out_stride) + at;
      // Stores under a mask are much slower.
      if (at + kLanes <= columns) {
        store_bytes(target, integers);
      } else {
        store_bytes(target, lanes(at, padded), integers);
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
    const Floats inverse = set1(largest > 0.0F ? 32767.0F / largest : 0.0F);
    scales[row] = largest / 32767.0F;
    Unit* const high = out + 2 * row * out_stride;
    Unit* const low = high + out_stride;
    for (int64_t at = 0; at < columns; at += kLanes) {
      const Mask mask = lanes(at, padded);
      const Floats value = mul(inverse, load(values, at, lanes(at, columns)));
      const Ints integers = add(to_ints(value), set1_ints(32768));
      store_bytes(reinterpret_cast<char*>(high) + at, mask, shift_right<8>(integers));
      store_bytes(reinterpret_cast<char*>(low) + at, mask, integers);
    }
  }
}

void norm_rows(const RowNorm& norm, const float* x, int64_t stride, int64_t count, float* fp32,
               int64_t fp32_stride, Bf16* bf16, int64_t bf16_stride) {
  const bool is_full = norm.dim % kLanes == 0;
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
    Floats sum = zero();
    for (int64_t at = 0; at < dim; at += kLanes) {
      const Floats value = load(lanes(at, dim), rows + row * stride + at);
      sum = fmadd(value, value, sum);
    }
    inverse[row] = 1.0F / __builtin_sqrtf(sum_of(sum) + eps);
  }
}

void exponential_rows(const float* rows, int64_t stride, int64_t count, int64_t columns,
                      int64_t padded, Target out, int64_t out_stride, float* inverse_sums) {
  for (int64_t row = 0; row < count; ++row) {
    Floats sum = zero();
    for (int64_t at = 0; at < padded; at += kLanes) {
      const Mask mask = lanes(at, columns);
      const Floats power = keep(mask, exp_exact(load(mask, rows + row * stride + at)));
      sum = add(sum, power);
      const int64_t target = row * out_stride + at;
      if (out.bf16 != nullptr) {
        store_bf16(out.bf16 + target, lanes(at, padded), power);
      } else {
        store(out.fp32 + target, lanes(at, padded), power);
      }
    }
    inverse_sums[row] = 1.0F / sum_of(sum);
  }
}

void inverse_column_sums(Source values, int64_t stride, int64_t rows, int64_t columns,
                         float* inverse_sums) {
  for (int64_t column = 0; column < columns; column += kLanes) {
    const Mask mask = lanes(column, columns);
    Floats sum = zero();
    for (int64_t row = 0; row < rows; ++row) {
      sum = add(sum, load(values, row * stride + column, mask));
    }
    store(inverse_sums + column, mask, div(set1(1.0F), sum));
  }
}

}  // namespace

const FactorKernels kFactorKernels{.encode_row = encode_row,
                                   .encode_row_int8 = encode_row_int8,
                                   .pack_panel = pack_panel,
                                   .pack_depth_unit = pack_depth_unit,
                                   .quantize_bytes = quantize_bytes,
                                   .quantize_planes = quantize_planes,
                                   .norm_rows = norm_rows,
                                   .inverse_norms = inverse_norms,
                                   .exponential_rows = exponential_rows,
                                   .inverse_column_sums = inverse_column_sums};

}  // namespace softmoe::kernels::SOFTMOE_LEVEL
