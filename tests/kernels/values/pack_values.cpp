// Packing of the factors of matrix products.

#include "kernels/values/kernel_values.h"

namespace softmoe::kernels::values {
namespace {

/// Packs both factors in every way from a matrix of one precision, [rows, columns] of rows `stride`
/// values apart.
void add_packed(const KernelTable& table, Precision precision, Precision source_precision,
                int64_t rows, int64_t columns, int64_t stride, Results& results) {
  const auto name = enum_name(precision) + " from " + enum_name(source_precision) + " " +
                    std::to_string(rows) + " x " + std::to_string(columns);
  const auto matrix = Array::random(source_precision, rows * stride, 1);
  auto transposed = unwritten_units(packed_size(precision, columns, rows));
  table.pack_transposed(precision, matrix.source(), stride, columns, 0, rows, transposed.data());
  results.add_exact("pack_transposed " + name, transposed);

  auto packed = unwritten_units(packed_size(precision, rows, columns));
  // In two parts, as two threads would.
  for (const auto& [first, last] :
       {std::pair{int64_t{0}, kPanelColumns}, {kPanelColumns, columns}}) {
    table.pack_rows(precision, matrix.source(), stride, rows, first, last, packed.data());
  }
  results.add_exact("pack_rows " + name, packed);

  auto left = unwritten_units(round_up(columns, kTileRows) * units_of(precision, rows));
  auto sums = random_floats(columns, 2);
  table.pack_left_transposed(precision, matrix.source(), stride, rows, 0, columns, left.data(),
                             sums.data());
  results.add_exact("pack_left_transposed " + name,
                    left_in_tiles(table, precision, left, units_of(precision, rows)));
  results.add_sums("pack_left_transposed sums " + name, sums);
}

}  // namespace

std::vector<Unit> left_in_tiles(const KernelTable& table, Precision precision,
                                const std::vector<Unit>& packed, int64_t units) {
  const int64_t tile = precision == Precision::kBFloat16 ? table.bf16_left_tile : kTileRows;
  const auto index = [units](int64_t column, int64_t unit, int64_t size) {
    return static_cast<size_t>((column / size * units + unit) * size + column % size);
  };
  std::vector<Unit> tiles(packed.size());
  for (int64_t column = 0; column < static_cast<int64_t>(packed.size()) / units; ++column) {
    for (int64_t unit = 0; unit < units; ++unit) {
      tiles[index(column, unit, kTileRows)] = packed[index(column, unit, tile)];
    }
  }
  return tiles;
}

void add_pack_values(const KernelTable& table, Results& results) {
  // Odd sizes, and those that fill all vectors.
  for (const auto& [rows, columns, stride] :
       {std::array<int64_t, 3>{37, 45, 51}, {48, 64, 67}, {5, 167, 169}}) {
    add_packed(table, Precision::kFloat32, Precision::kFloat32, rows, columns, stride, results);
    for (const auto source : kPrecisions) {
      add_packed(table, Precision::kBFloat16, source, rows, columns, stride, results);
    }
  }
  for (const auto precision : kPrecisions) {
    constexpr int64_t kRows = 5;
    constexpr int64_t kColumns = 37;
    constexpr int64_t kStride = 41;
    constexpr int64_t kTargetStride = 44;
    const auto source = Array::random(precision, kRows * kStride, 3);
    auto out = Array::unwritten(Precision::kBFloat16, kRows * kTargetStride);
    table.to_bf16(source.source(), kStride, kRows, kColumns, out.target().bf16, kTargetStride);
    results.add_exact("to_bf16 from " + enum_name(precision), out);
  }
  // Ties, overflow, infinity and NaN. (Denormal numbers are zero to some processors.)
  const Floats special{1.00390625F,      1.01171875F,       -1.00390625F, 3.4e38F,
                       __builtin_inff(), -__builtin_inff(), -0.0F,        __builtin_nanf("")};
  auto out = Array::unwritten(Precision::kBFloat16, static_cast<int64_t>(special.size()) + 1);
  table.to_bf16({.fp32 = special.data()}, 0, 1, static_cast<int64_t>(special.size()),
                out.target().bf16, 0);
  std::vector<Bf16> bits(out.source().bf16, out.source().bf16 + special.size() + 1);
  results.add_exact("to_bf16 special", bits);
}

}  // namespace softmoe::kernels::values
