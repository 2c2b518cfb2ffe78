// Matrix products for training.

#include "kernels/values/kernel_values.h"

namespace softmoe::kernels::values {
namespace {

constexpr int64_t kGemmStride = 53;  // of outputs

/// Both factors of a product, packed by the kernels.
struct GemmFactors {
  GemmFactors(const KernelTable& table, Precision precision, int64_t rows, int64_t depth,
              int64_t columns)
      : shape{.precision = precision,
              .rows = rows,
              .columns = columns,
              .units = units_of(precision, depth)},
        name(enum_name(precision) + " " + std::to_string(rows) + " x " + std::to_string(depth) +
             " x " + std::to_string(columns)),
        left_stride(round_up(depth, 2)),
        left(Array::random(precision, rows * left_stride, 1)),
        bias(random_floats(columns, 2)),
        right(unwritten_units(packed_size(precision, depth, columns))) {
    const auto w = Array::random(precision, columns * depth, 3, 0.5F);
    table.pack_transposed(precision, w.source(), depth, depth, 0, columns, right.data());
    if (depth < left_stride) {  // the units' last bf16 is zero
      Floats values = left.values();
      for (int64_t row = 0; row < rows; ++row) {
        values[static_cast<size_t>(row * left_stride + depth)] = 0.0F;
      }
      left = Array(precision, values);
    }
  }
  LeftUnits a() const { return left_rows(left.source(), left_stride); }
  int64_t size() const { return shape.rows * kGemmStride; }

  GemmShape shape;
  std::string name;
  int64_t left_stride;
  Array left;
  Floats bias;
  Units right;
};

void add_products(const KernelTable& table, const GemmFactors& factors, Results& results) {
  const auto residual = random_floats(factors.size(), 4);
  auto out = Array::unwritten(Precision::kFloat32, factors.size());
  table.gemm(factors.shape, factors.a(), factors.right.data(), factors.bias.data(), residual.data(),
             out.target(), kGemmStride);
  results.add("gemm bias residual " + factors.name, out);

  GemmShape shape = factors.shape;
  for (const auto precision : kPrecisions) {
    auto plain = Array::unwritten(precision, factors.size());
    table.gemm(shape, factors.a(), factors.right.data(), nullptr, nullptr, plain.target(),
               kGemmStride);
    results.add("gemm to " + enum_name(precision) + " " + factors.name, plain);
    // Memory that is fetched meanwhile changes nothing.
    shape.next = upcoming(out.source(), kGemmStride, shape.rows, shape.columns);
  }
}

void add_gelus(const KernelTable& table, const GemmFactors& factors, Activation gelu,
               Results& results) {
  const auto precision = factors.shape.precision;
  const auto name = enum_name(gelu) + " " + factors.name;
  auto before = Array::unwritten(precision, factors.size());
  auto after = Array::unwritten(precision, factors.size());
  table.gemm_gelu(factors.shape, factors.a(), factors.right.data(), factors.bias.data(), gelu,
                  before.target(), after.target(), kGemmStride);
  results.add("gemm_gelu before " + name, before);
  results.add("gemm_gelu after " + name, after);
  auto alone = Array::unwritten(precision, factors.size());
  table.gemm_gelu(factors.shape, factors.a(), factors.right.data(), nullptr, gelu, {},
                  alone.target(), kGemmStride);
  results.add("gemm_gelu alone " + name, alone);

  const auto inner = Array::random(precision, factors.size(), 5, 4.0F);
  auto d_inner = Array::unwritten(precision, factors.size());
  table.gemm_gelu_backward(factors.shape, factors.a(), factors.right.data(), gelu, inner.source(),
                           after.target(), d_inner.target(), kGemmStride);
  results.add("gemm_gelu_backward after " + name, after);
  results.add("gemm_gelu_backward before " + name, d_inner);
}

/// y^T x in all modes.
void add_transposed(const KernelTable& table, Precision precision, int64_t rows,
                    int64_t left_columns, int64_t columns, Results& results) {
  const GemmShape shape{.precision = precision,
                        .rows = left_columns,
                        .columns = columns,
                        .units = units_of(precision, rows)};
  const auto y = Array::random(precision, rows * left_columns, 6);
  const auto x = Array::random(precision, rows * columns, 7);
  auto left = unwritten_units(round_up(left_columns, kTileRows) * shape.units);
  auto right = unwritten_units(packed_size(precision, rows, columns));
  table.pack_left_transposed(precision, y.source(), left_columns, rows, 0, left_columns,
                             left.data(), nullptr);
  table.pack_rows(precision, x.source(), columns, rows, 0, columns, right.data());
  auto out = unwritten_floats(left_columns * columns + 16);
  float* const aligned =
      out.data() + (16 - reinterpret_cast<uintptr_t>(out.data()) % 64 / sizeof(float)) % 16;
  const auto run = [&](OutputMode mode, const std::string& mode_name) {
    // In two parts, as two threads would.
    for (const auto& [first, last] :
         {std::pair{int64_t{0}, kTileRows}, {kTileRows, left_columns}}) {
      table.gemm_left_transposed(shape, first, last, left.data(), right.data(), mode, aligned,
                                 columns);
    }
    results.add_sums("gemm_left_transposed " + mode_name + " " + enum_name(precision) + " " +
                         std::to_string(columns),
                     {aligned, aligned + left_columns * columns});
  };
  run(OutputMode::kReplace, "replace");
  run(OutputMode::kAdd, "add");
  if (columns % 16 == 0) {
    run(OutputMode::kStream, "stream");
  }
}

}  // namespace

void add_gemm_values(const KernelTable& table, Results& results) {
  for (const auto precision : kPrecisions) {
    // A single row, and more depth than is multiplied at a time.
    for (const auto& [rows, depth, columns] :
         {std::array<int64_t, 3>{1, 3, 33}, {19, 37, 45}, {67, 299, 35}}) {
      const GemmFactors factors(table, precision, rows, depth, columns);
      add_products(table, factors, results);
      add_gelus(table, factors, Activation::kGeluTanh, results);
      add_gelus(table, factors, Activation::kGeluExact, results);
    }
    add_transposed(table, precision, 35, 21, 48, results);
    add_transposed(table, precision, 71, 45, 33, results);
  }
}

}  // namespace softmoe::kernels::values
