// The factors of packed products.

#include <algorithm>
#include <cmath>

#include "kernels/values/kernel_values.h"

namespace softmoe::kernels::values {
namespace {

constexpr int64_t kFactorRows = 6;  // a group of four and single ones

void add_encoded(const KernelTable& table, Precision source, int64_t depth, Results& results) {
  constexpr int64_t kChunk = 48;
  constexpr int64_t kSumStride = 3;
  const auto name = enum_name(source) + " depth " + std::to_string(depth);
  const auto row = Array::random(source, depth, 1);
  for (const auto precision : kPrecisions) {
    auto units = unwritten_units(units_of(precision, depth) + 1);
    table.encode_row(precision, row.source(), depth, -0.7F, units.data());
    results.add_exact("encode_row to " + enum_name(precision) + " " + name, units);
  }
  auto units = unwritten_units(units_of(Precision::kInt8, depth) + 1);
  std::vector<int32_t> sums(static_cast<size_t>((depth + kChunk - 1) / kChunk * kSumStride), 7);
  const float scale = table.encode_row_int8(row.source(), depth, 1.3F, kChunk, units.data(),
                                            sums.data(), kSumStride);
  results.add_exact("encode_row_int8 " + name, units);
  results.add_exact("encode_row_int8 sums " + name, sums);
  results.add_sums("encode_row_int8 scale " + name, {scale});
}

void add_panels(const KernelTable& table, Results& results) {
  for (const int64_t count : {17, 32}) {
    for (const int64_t units : {1, 16, 21}) {
      Units rows(static_cast<size_t>(count * (units + 2)));
      for (size_t at = 0; at < rows.size(); ++at) {
        rows[at] = static_cast<Unit>(at + 1);
      }
      auto panel = unwritten_units((units + 1) * kPanelColumns);
      table.pack_panel(rows.data(), units + 2, count, units, panel.data());
      results.add_exact("pack_panel " + std::to_string(count) + " x " + std::to_string(units),
                        panel);
    }
  }
  for (const auto precision : kPrecisions) {
    for (const auto from : kPrecisions) {
      for (const bool has_second : {false, true}) {
        constexpr int64_t kColumns = 48;  // whole vectors: the rest of one is unspecified
        const auto rows = Array::random(from, 2 * kColumns, 2);
        auto panels = unwritten_units(2 * kPanelColumns * panels_of(kColumns));
        table.pack_depth_unit(precision, rows.source(),
                              has_second ? rows.source().offset(kColumns) : Source{}, kColumns,
                              panels.data() + kPanelColumns, 2 * kPanelColumns);
        results.add_exact("pack_depth_unit to " + enum_name(precision) + " from " +
                              enum_name(from) + (has_second ? " two" : " one"),
                          panels);
      }
    }
  }
}

void add_quantized(const KernelTable& table, int64_t columns, Results& results) {
  const auto name = std::to_string(columns) + " columns";
  const int64_t stride = columns + 5;
  const int64_t out_stride = units_of(Precision::kInt8, columns) + 3;
  auto scales = unwritten_floats(kFactorRows);
  auto zeros = unwritten_floats(kFactorRows);
  for (const auto precision : kPrecisions) {
    const auto rows = Array::random(precision, kFactorRows * stride, 3);
    auto bytes = unwritten_units(kFactorRows * out_stride);
    table.quantize_bytes(rows.source(), stride, kFactorRows, columns, bytes.data(), out_stride,
                         scales.data(), zeros.data());
    const auto full_name = enum_name(precision) + " " + name;
    results.add_exact("quantize_bytes " + full_name, bytes);
    results.add_sums("quantize_bytes scales " + full_name, scales);
    results.add_exact("quantize_bytes zeros " + full_name, zeros);
  }
  const auto rows = Array::random(Precision::kBFloat16, kFactorRows * stride, 4);
  auto planes = unwritten_units(2 * kFactorRows * out_stride);
  table.quantize_planes(rows.source().bf16, stride, kFactorRows, columns, planes.data(), out_stride,
                        scales.data());
  results.add_exact("quantize_planes " + name, planes);
  results.add_sums("quantize_planes scales " + name, scales);
}

void add_norms(const KernelTable& table, int64_t dim, Results& results) {
  const int64_t stride = dim + 3;
  const auto x = random_floats(kFactorRows * stride, 5);
  const auto affine = random_floats(2 * dim, 6);
  for (const bool has_bias : {false, true}) {
    const auto name = "dim " + std::to_string(dim) + (has_bias ? " bias" : "");
    const RowNorm norm{.dim = dim,
                       .eps = 1e-3F,
                       .weight = affine.data(),
                       .bias = has_bias ? affine.data() + dim : nullptr};
    auto fp32 = Array::unwritten(Precision::kFloat32, kFactorRows * (dim + 1));
    auto bf16 = Array::unwritten(Precision::kBFloat16, kFactorRows * (dim + 2));
    table.norm_rows(norm, x.data(), stride, kFactorRows, fp32.target().fp32, dim + 1,
                    bf16.target().bf16, dim + 2);
    results.add("norm_rows fp32 " + name, fp32);
    results.add("norm_rows bf16 " + name, bf16);
  }
  auto inverse = unwritten_floats(kFactorRows);
  table.inverse_norms(x.data(), stride, kFactorRows, dim, 1e-3F, inverse.data());
  results.add_sums("inverse_norms dim " + std::to_string(dim), inverse);
}

void add_powers(const KernelTable& table, Precision precision, int64_t columns, Results& results) {
  const auto name = enum_name(precision) + " " + std::to_string(columns) + " columns";
  const int64_t stride = columns + 3;
  const int64_t padded = columns + 5;
  const int64_t out_stride = columns + 7;
  const auto rows = random_floats(kFactorRows * stride, 7);
  auto powers = Array::unwritten(precision, kFactorRows * out_stride);
  auto inverse = unwritten_floats(kFactorRows);
  table.exponential_rows(rows.data(), stride, kFactorRows, columns, padded, powers.target(),
                         out_stride, inverse.data());
  results.add("exponential_rows " + name, powers);
  results.add_sums("exponential_rows sums " + name, inverse);
  auto column_sums = unwritten_floats(columns + 1);
  table.inverse_column_sums(powers.source(), out_stride, kFactorRows, columns, column_sums.data());
  results.add("inverse_column_sums " + name, Array(precision, column_sums));
}

}  // namespace

void add_factor_values(const KernelTable& table, Results& results) {
  for (const auto precision : kPrecisions) {
    for (const int64_t depth : {3, 37, 130}) {
      add_encoded(table, precision, depth, results);
    }
    for (const int64_t columns : {3, 16, 29}) {
      add_powers(table, precision, columns, results);
    }
  }
  add_panels(table, results);
  for (const int64_t columns : {3, 37, 130}) {
    add_quantized(table, columns, results);
    add_norms(table, columns, results);
  }
  add_norms(table, 64, results);
}

}  // namespace softmoe::kernels::values
