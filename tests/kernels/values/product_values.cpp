// Packed products of every precision.

#include <array>

#include "kernels/values/kernel_values.h"

namespace softmoe::kernels::values {
namespace {

/// How the left factor is represented.
enum class LeftKind { kFp32, kBf16, kBytes, kPlanes };

constexpr Precision precision_of(LeftKind kind) {
  return kind == LeftKind::kFp32   ? Precision::kFloat32
         : kind == LeftKind::kBf16 ? Precision::kBFloat16
                                   : Precision::kInt8;
}

/// A product with both factors packed by the kernels.
struct PackedFactors {
  PackedFactors(const KernelTable& kernel_table, LeftKind left_kind, int64_t row_count,
                int64_t depth_size, int64_t column_count)
      : table(kernel_table),
        kind(left_kind),
        rows(row_count),
        depth(depth_size),
        columns(column_count),
        units(units_of(precision(), depth)),
        left(unwritten_units(2 * rows * stride())),
        right(unwritten_units(panels_of(columns) * units * kPanelColumns)),
        row_scales(unwritten_floats(rows)),
        row_zeros(unwritten_floats(rows)),
        column_scales(unwritten_floats(columns)),
        column_sums(static_cast<size_t>(columns)) {
    pack_left();
    pack_right();
  }

  Precision precision() const { return precision_of(kind); }
  int64_t stride() const { return units + 3; }

  void run(ProductFinish finish) const {
    const bool is_bytes = kind == LeftKind::kBytes;
    if (precision() == Precision::kInt8) {
      finish.integers = {.row_scales = row_scales.data(),
                         .row_zeros = is_bytes ? row_zeros.data() : nullptr,
                         .column_scales = column_scales.data(),
                         .column_sums = column_sums.data()};
    }
    table.packed_product(precision(), {rows, columns, units}, {left.data(), stride()},
                         {right.data(), units * kPanelColumns}, finish);
  }
  /// Name of a result.
  std::string name(const std::string& call) const {
    const std::string kernel = kind == LeftKind::kFp32   ? "product_fp32 "
                               : kind == LeftKind::kBf16 ? "product_bf16 "
                                                         : "product_int8 ";
    const std::string left_name = kind == LeftKind::kBytes    ? "bytes "
                                  : kind == LeftKind::kPlanes ? "planes "
                                                              : "";
    return kernel + left_name + call + " " + std::to_string(rows) + " x " + std::to_string(depth) +
           " x " + std::to_string(columns);
  }

  const KernelTable& table;
  LeftKind kind;
  int64_t rows;
  int64_t depth;
  int64_t columns;
  int64_t units;
  Units left;
  Units right;
  Floats row_scales;
  Floats row_zeros;
  Floats column_scales;
  std::vector<int32_t> column_sums;

 private:
  void pack_left() {
    // bf16 values: planes are made of nothing else.
    const auto a = Array::random(Precision::kBFloat16, rows * depth, 1, 1.0F);
    if (kind == LeftKind::kBytes) {
      table.quantize_bytes(a.source(), depth, rows, depth, left.data(), stride(), row_scales.data(),
                           row_zeros.data());
    } else if (kind == LeftKind::kPlanes) {
      table.quantize_planes(a.source().bf16, depth, rows, depth, left.data(), stride(),
                            row_scales.data());
    } else {
      for (int64_t row = 0; row < rows; ++row) {
        table.encode_row(precision(), a.source().offset(row * depth), depth, 1.0F,
                         left.data() + row * stride());
      }
    }
  }
  void pack_right() {
    const auto w = Array::random(Precision::kFloat32, columns * depth, 2, 0.5F);
    Units encoded(static_cast<size_t>(columns * units));
    for (int64_t column = 0; column < columns; ++column) {
      const Source source = w.source().offset(column * depth);
      Unit* const target = encoded.data() + column * units;
      if (precision() == Precision::kInt8) {
        const auto at = static_cast<size_t>(column);
        column_scales[at] =
            table.encode_row_int8(source, depth, 1.0F, depth, target, &column_sums[at], 0);
      } else {
        table.encode_row(precision(), source, depth, 1.0F, target);
      }
    }
    for (int64_t column = 0; column < columns; column += kPanelColumns) {
      table.pack_panel(encoded.data() + column * units, units, columns - column, units,
                       right.data() + column * units);
    }
  }
};

constexpr std::array<std::pair<Activation, const char*>, 4> kActivations{
    {{Activation::kNone, "none"},
     {Activation::kGeluTanh, "tanh"},
     {Activation::kGeluExact, "exact"},
     {Activation::kGeluQuick, "quick"}}};

/// Activations with a bias, to both precisions.
void add_activations(const PackedFactors& factors, Results& results) {
  const int64_t stride = factors.columns + 3;
  const auto bias = random_floats(factors.columns, 3);
  for (const auto to : kPrecisions) {
    const auto add = [&](Activation activation, const char* name) {
      auto out = Array::unwritten(to, factors.rows * stride);
      factors.run({.out = out.target(),
                   .out_stride = stride,
                   .bias = bias.data(),
                   .activation = activation});
      results.add(factors.name(std::string(name) + " to " + enum_name(to)), out);
    };
    for (const auto& [activation, name] : kActivations) {
      add(activation, name);
    }
    if (factors.columns % kPanelColumns == 0) {
      add(Activation::kSwiGlu, "swiglu");
    }
  }
}

/// The sum with what is there, times factors of rows.
void add_accumulated(const PackedFactors& factors, Results& results) {
  auto out = random_floats(factors.rows * factors.columns, 4);
  const auto row_factors = random_floats(factors.rows, 5);
  factors.run({.out = {.fp32 = out.data()},
               .out_stride = factors.columns,
               .row_factors = row_factors.data(),
               .accumulate = true});
  results.add_sums(factors.name("accumulated"), out);
}

}  // namespace

void add_product_values(const KernelTable& table, Results& results) {
  for (const auto kind : {LeftKind::kFp32, LeftKind::kBf16, LeftKind::kBytes, LeftKind::kPlanes}) {
    // One row, whole panels, and more rows and depth than are multiplied at a time.
    for (const auto& [rows, depth, columns] :
         {std::array<int64_t, 3>{1, 3, 35}, {15, 69, 96}, {67, 531, 45}}) {
      const PackedFactors factors(table, kind, rows, depth, columns);
      add_accumulated(factors, results);
      if (depth < 100) {
        add_activations(factors, results);
      }
    }
  }
}

}  // namespace softmoe::kernels::values
