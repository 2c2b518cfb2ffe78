/// Integers and their products on every level against those of the portable one.

#include <cstring>
#include <tuple>

#include "kernels/agreement.h"

namespace softmoe::kernels::integer_agreement_test {

using test::on_every_level;

TEST(IntegersOfLevels, AgreeWithTheirScales) {
  for_each_size([](Precision precision, int64_t rows, int64_t columns) {
    const auto fp32 = finite_values(rows * columns, 5);
    const auto bf16 = rounded(fp32);
    const auto source = precision == Precision::kFloat32 ? Source{.fp32 = fp32.data()}
                                                         : Source{.bf16 = bf16.data()};
    const int64_t units = units_of(Precision::kInt8, columns);
    expect_equal([&](const KernelTable& kernels) {
      Units out(static_cast<size_t>(units), 7);
      std::vector<int32_t> sums(2 * out.size());
      const float scale = kernels.encode_row_int8(source, columns, -3.0F, /*chunk=*/16, out.data(),
                                                  sums.data(), /*stride=*/2);
      return std::tuple(out, sums, scale);
    });
    expect_equal([&](const KernelTable& kernels) {
      Units out(static_cast<size_t>(2 * rows * units), 7);
      Floats scales(static_cast<size_t>(rows));
      kernels.quantize_planes(bf16.data(), columns, rows, columns, out.data(), units,
                              scales.data());
      return std::tuple(out, scales);
    });
  });
}

/// Rows of 8-bit integers and what they stand for.
struct Bytes {
  Bytes(const KernelTable& kernels, Source rows, int64_t count, int64_t columns)
      : units(static_cast<size_t>(count * units_of(Precision::kInt8, columns)), 7),
        scales(static_cast<size_t>(count)),
        zeros(scales.size()) {
    kernels.quantize_bytes(rows, columns, count, columns, units.data(),
                           units_of(Precision::kInt8, columns), scales.data(), zeros.data());
  }

  std::vector<uint8_t> integers() const {
    std::vector<uint8_t> bytes(4 * units.size());
    std::memcpy(bytes.data(), units.data(), bytes.size());
    return bytes;
  }

  Units units;
  Floats scales;
  Floats zeros;
};

// A value in the middle between two integers becomes either, as its product is rounded or not.
TEST(IntegersOfLevels, AgreeOnBytesUnlessTheyAreInTheMiddle) {
  for_each_size([](Precision precision, int64_t rows, int64_t columns) {
    const auto fp32 = finite_values(rows * columns, 5);
    const auto bf16 = rounded(fp32);
    const auto source = precision == Precision::kFloat32 ? Source{.fp32 = fp32.data()}
                                                         : Source{.bf16 = bf16.data()};
    const Bytes expected(table_of(Level::kPortable), source, rows, columns);
    on_every_level([&] {
      const Bytes actual(table(), source, rows, columns);
      EXPECT_EQ(actual.scales, expected.scales);
      EXPECT_EQ(actual.zeros, expected.zeros);
      const auto integers = actual.integers();
      const auto expected_integers = expected.integers();
      int64_t differences = 0;
      for (size_t at = 0; at < integers.size(); ++at) {
        const int difference = std::abs(integers[at] - expected_integers[at]);
        EXPECT_LE(difference, 1) << at;
        differences += difference;
      }
      EXPECT_LE(differences, rows * columns / 1000);
    });
  });
}

/// Factors of integers, quantised by the portable kernels.
struct IntegerFactors {
  IntegerFactors(bool has_planes, int64_t rows, int64_t depth, int64_t columns)
      : shape{rows, columns, units_of(Precision::kInt8, depth)},
        left(static_cast<size_t>(2 * rows * shape.units)),
        row_scales(static_cast<size_t>(rows)),
        row_zeros(has_planes ? 0 : row_scales.size()),
        panels(static_cast<size_t>(panels_of(columns) * kPanelColumns * shape.units)),
        column_scales(static_cast<size_t>(columns)),
        column_sums(column_scales.size()),
        bias(finite_values(columns, 9)) {
    const auto& kernels = table_of(Level::kPortable);
    const auto a = rounded(finite_values(rows * depth, 7));
    if (has_planes) {
      kernels.quantize_planes(a.data(), depth, rows, depth, left.data(), shape.units,
                              row_scales.data());
    } else {
      kernels.quantize_bytes({.bf16 = a.data()}, depth, rows, depth, left.data(), shape.units,
                             row_scales.data(), row_zeros.data());
    }
    const auto b = finite_values(columns * depth, 8);
    Units encoded(static_cast<size_t>(columns * shape.units));
    for (int64_t column = 0; column < columns; ++column) {
      const auto at = static_cast<size_t>(column);
      column_scales[at] =
          kernels.encode_row_int8({.fp32 = b.data() + column * depth}, depth, 1.0F, depth,
                                  encoded.data() + column * shape.units, &column_sums[at], 0);
    }
    for (int64_t column = 0; column < columns; column += kPanelColumns) {
      kernels.pack_panel(encoded.data() + column * shape.units, shape.units,
                         std::min(kPanelColumns, columns - column), shape.units,
                         panels.data() + column * shape.units);
    }
  }

  Floats product(const KernelTable& kernels) const {
    Floats out(static_cast<size_t>(shape.rows * shape.columns));
    kernels.product_int8(shape, {left.data(), shape.units},
                         {panels.data(), shape.units * kPanelColumns},
                         {.out = {.fp32 = out.data()},
                          .out_stride = shape.columns,
                          .bias = bias.data(),
                          .integers = {.row_scales = row_scales.data(),
                                       .row_zeros = row_zeros.empty() ? nullptr : row_zeros.data(),
                                       .column_scales = column_scales.data(),
                                       .column_sums = column_sums.data()}});
    return out;
  }

  ProductShape shape;
  Units left;
  Floats row_scales;
  Floats row_zeros;
  Units panels;
  Floats column_scales;
  std::vector<int32_t> column_sums;
  Floats bias;
};

// The sums of integers are exact, and all levels scale them by the same operations.
TEST(IntegersOfLevels, AgreeOnProductsOfIntegers) {
  for (const bool has_planes : {false, true}) {
    for (const int64_t rows : {1, 5, 29}) {
      for (const auto& [depth, columns] : {std::pair<int64_t, int64_t>{5, 3}, {130, 70}}) {
        SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(depth) + " x " +
                     std::to_string(columns) + (has_planes ? " in planes" : " in bytes"));
        const IntegerFactors factors(has_planes, rows, depth, columns);
        expect_equal([&](const KernelTable& kernels) { return factors.product(kernels); });
      }
    }
  }
}

}  // namespace softmoe::kernels::integer_agreement_test
