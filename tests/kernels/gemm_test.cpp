#include "kernels/gemm.h"

#include <array>
#include <utility>

#include "kernels/kernel_test.h"

namespace softmoe::kernels::gemm_test {

constexpr auto kBf16 = Precision::kBFloat16;

using namespace softmoe::test;  // NOLINT: plain C++ to compare with

class GemmTest : public KernelTest {};
INSTANTIATE_TEST_SUITE_P(Levels, GemmTest, every_level(), level_name);

/// Rows of bf16 with an even stride, odd columns filled up with zero, as products take them.
struct LeftRows {
  explicit LeftRows(const Matrix& a)
      : stride(round_up(a.columns, 2)), values(static_cast<size_t>(a.rows * stride), 7) {
    const auto fp32 = floats(a.values);
    table().to_bf16({.fp32 = fp32.data()}, a.columns, a.rows, a.columns, values.data(), stride);
  }
  LeftUnits factor() const { return left_rows({.bf16 = values.data()}, stride); }

  int64_t stride;
  Bf16s values;
};

using Units = std::vector<Unit>;

/// b [depth, columns] packed from its transpose.
Units pack(const Matrix& b) {
  const auto w = floats(b.transposed().values);
  Units packed(static_cast<size_t>(packed_size(kBf16, b.rows, b.columns)), 7);
  table().pack_transposed(kBf16, {.fp32 = w.data()}, b.rows, b.rows, 0, b.columns, packed.data());
  return packed;
}

GemmShape shape_of(const Matrix& a, const Matrix& b) {
  return {.precision = kBf16,
          .rows = a.rows,
          .columns = b.columns,
          .units = units_of(kBf16, a.columns)};
}

struct Sizes {
  int64_t rows;
  int64_t depth;
  int64_t columns;
};
constexpr std::array<Sizes, 6> kSizes{
    {{1, 3, 1}, {2, 6, 16}, {3, 64, 33}, {7, 33, 70}, {8, 70, 32}, {19, 96, 100}}};

TEST_P(GemmTest, PackingIsTheSameFromEitherOrientationAndPrecision) {
  for (const auto& [rows, depth, columns] : kSizes) {
    const auto b = random_matrix(depth, columns, 1);
    const auto expected = pack(b);
    const auto w_bf16 = bf16s(b.transposed().values);
    Units packed(expected.size(), 9);
    table().pack_transposed(kBf16, {.bf16 = w_bf16.data()}, depth, depth, 0, columns,
                            packed.data());
    EXPECT_EQ(packed, expected) << depth << " x " << columns;
    const auto b_fp32 = floats(b.values);
    table().pack_rows(kBf16, {.fp32 = b_fp32.data()}, columns, depth, 0, columns, packed.data());
    EXPECT_EQ(packed, expected) << depth << " x " << columns;
    // In two parts, as two threads would.
    Units parts(expected.size(), 9);
    const int64_t middle = std::min<int64_t>(kPanelColumns, columns);
    for (const auto& [first, last] : {std::pair{int64_t{0}, middle}, std::pair{middle, columns}}) {
      table().pack_rows(kBf16, {.fp32 = b_fp32.data()}, columns, depth, first, last, parts.data());
    }
    EXPECT_EQ(parts, expected) << depth << " x " << columns;
  }
}

TEST_P(GemmTest, MultipliesAnyShapeAndAddsBiasAndResidual) {
  for (const auto& [rows, depth, columns] : kSizes) {
    const auto a = random_matrix(rows, depth, 2);
    const auto b = random_matrix(depth, columns, 3);
    const auto bias = random_matrix(1, columns, 4);
    const auto residual = random_matrix(rows, columns, 5);
    Matrix expected = a * b + residual;
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t column = 0; column < columns; ++column) {
        expected.at(row, column) += bias.at(0, column);
      }
    }
    const auto packed = pack(b);
    const LeftRows left(a);
    const auto fp32_bias = floats(bias.values);
    const auto fp32_residual = floats(residual.values);
    Floats out(expected.values.size() + 1, 7.0F);
    table().gemm(shape_of(a, b), left.factor(), packed.data(), fp32_bias.data(),
                 fp32_residual.data(), {.fp32 = out.data()}, columns);
    EXPECT_EQ(out.back(), 7.0F);
    out.pop_back();
    EXPECT_TRUE(near(out, expected.values, kFp32Tolerance)) << rows << ' ' << depth;

    // Memory that is fetched meanwhile changes nothing; without bias and residual into bf16.
    auto shape = shape_of(a, b);
    shape.next = upcoming({.fp32 = out.data()}, columns, rows, columns);
    Bf16s rounded(out.size());
    table().gemm(shape, left.factor(), packed.data(), nullptr, nullptr, {.bf16 = rounded.data()},
                 columns);
    EXPECT_TRUE(near(floats(rounded), (a * b).values, kBf16Tolerance)) << rows << ' ' << depth;
  }
}

TEST_P(GemmTest, MultipliesATransposedLeftFactorInEveryMode) {
  for (const auto& [rows, left_columns, columns] :
       {Sizes{1, 8, 16}, Sizes{6, 16, 32}, Sizes{33, 19, 48}, Sizes{70, 45, 33}}) {
    const auto y = random_matrix(rows, left_columns, 6);
    const auto x = random_matrix(rows, columns, 7);
    const auto product = y.transposed() * x;
    const auto fp32_y = floats(y.values);
    const auto fp32_x = floats(x.values);
    const int64_t units = units_of(kBf16, rows);
    const GemmShape shape{
        .precision = kBf16, .rows = left_columns, .columns = columns, .units = units};
    Units left(static_cast<size_t>(round_up(left_columns, kTileRows) * units));
    Floats sums(static_cast<size_t>(left_columns), 1.0F);
    table().pack_left_transposed(kBf16, {.fp32 = fp32_y.data()}, left_columns, rows, 0,
                                 left_columns, left.data(), sums.data());
    auto expected_sums = (Matrix(1, rows, 1.0) * y).values;
    for (auto& sum : expected_sums) {
      sum += 1.0;
    }
    EXPECT_TRUE(near(sums, expected_sums, kFp32Tolerance)) << rows;
    Units right(static_cast<size_t>(packed_size(kBf16, rows, columns)));
    table().pack_rows(kBf16, {.fp32 = fp32_x.data()}, columns, rows, 0, columns, right.data());

    const int64_t middle = std::min<int64_t>(kTileRows, left_columns);
    const auto run = [&](OutputMode mode, float* out) {
      table().gemm_left_transposed(shape, 0, middle, left.data(), right.data(), mode, out, columns);
      table().gemm_left_transposed(shape, middle, left_columns, left.data(), right.data(), mode,
                                   out, columns);
    };
    Floats out(product.values.size(), 7.0F);
    run(OutputMode::kReplace, out.data());
    EXPECT_TRUE(near(out, product.values, kFp32Tolerance)) << rows;
    run(OutputMode::kAdd, out.data());
    EXPECT_TRUE(near(out, (product + product).values, kFp32Tolerance)) << rows;
    if (columns % 16 == 0) {
      Floats memory(product.values.size() + 16, 7.0F);
      const auto misfit = reinterpret_cast<uintptr_t>(memory.data()) % 64 / sizeof(float);
      float* const aligned = memory.data() + (16 - misfit) % 16;
      run(OutputMode::kStream, aligned);
      EXPECT_TRUE(near(Floats(aligned, aligned + out.size()), product.values, kFp32Tolerance))
          << rows;
    }
  }
}

/// A GELU and its number in the kernels.
struct Kind {
  Activation kind;
  double (*plain)(double);
};
constexpr std::array<Kind, 2> kKinds{
    {{Activation::kGeluTanh, gelu_tanh}, {Activation::kGeluExact, gelu_exact}}};

TEST_P(GemmTest, AppliesGeluToTheProduct) {
  for (const auto& [rows, depth, columns] : kSizes) {
    const auto a = random_matrix(rows, depth, 8);
    const auto b = random_matrix(depth, columns, 9, 0.3);
    const auto bias = random_matrix(1, columns, 10);
    const auto expected = [&] {
      auto sum = a * b;
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t column = 0; column < columns; ++column) {
          sum.at(row, column) += bias.at(0, column);
        }
      }
      return sum;
    }();
    const auto packed = pack(b);
    const LeftRows left(a);
    const auto fp32_bias = floats(bias.values);
    for (const auto& [kind, plain] : kKinds) {
      auto activated = expected.values;
      for (auto& value : activated) {
        value = plain(value);
      }
      Bf16s before(activated.size());
      Bf16s after(activated.size());
      table().gemm_gelu(shape_of(a, b), left.factor(), packed.data(), fp32_bias.data(), kind,
                        {.bf16 = before.data()}, {.bf16 = after.data()}, columns);
      EXPECT_TRUE(near(floats(before), expected.values, kBf16Tolerance)) << rows;
      EXPECT_TRUE(near(floats(after), activated, kBf16Tolerance)) << rows;
      Bf16s alone(activated.size());
      table().gemm_gelu(shape_of(a, b), left.factor(), packed.data(), fp32_bias.data(), kind,
                        /*before=*/{}, {.bf16 = alone.data()}, columns);
      EXPECT_EQ(alone, after) << rows;
    }
  }
}

TEST_P(GemmTest, MultipliesGradientsByTheSlopeOfGelu) {
  for (const auto& [rows, depth, columns] : kSizes) {
    const auto d_out = random_matrix(rows, depth, 11);
    const auto w = random_matrix(depth, columns, 12, 0.3);
    const auto before = random_matrix(rows, columns, 13);
    const auto packed = pack(w);
    const LeftRows left(d_out);
    const auto bf16_before = bf16s(before.values);
    for (const auto& [kind, plain] : kKinds) {
      auto activated = before.values;
      auto d_before = (d_out * w).values;
      for (size_t at = 0; at < activated.size(); ++at) {
        activated[at] = plain(before.values[at]);
        d_before[at] *= derivative(plain, before.values[at]);
      }
      Bf16s after(activated.size());
      Bf16s actual(activated.size());
      table().gemm_gelu_backward(shape_of(d_out, w), left.factor(), packed.data(), kind,
                                 {.bf16 = bf16_before.data()}, {.bf16 = after.data()},
                                 {.bf16 = actual.data()}, columns);
      EXPECT_TRUE(near(floats(after), activated, kBf16Tolerance)) << rows;
      EXPECT_TRUE(near(floats(actual), d_before, kBf16Tolerance)) << rows;
    }
  }
}

TEST_P(GemmTest, ConversionRoundsToTheNearestAndFillsOddColumns) {
  const Floats source{1.0F, -2.5F, 0.1F, 3.14159F, 1e-3F, -65504.0F, 7.0F, 8.0F, 9.0F};
  Bf16s target(2 * 6, 7);
  // Two rows of three columns out of rows of four and five values.
  table().to_bf16({.fp32 = source.data()}, 4, 2, 3, target.data(), 6);
  const auto expected = bf16s({1.0, -2.5, 0.1, 0.0, 1e-3, -65504.0, 7.0, 0.0});
  for (size_t row = 0; row < 2; ++row) {
    for (size_t column = 0; column < 4; ++column) {
      EXPECT_EQ(target[6 * row + column], expected[4 * row + column]) << row << ' ' << column;
    }
    EXPECT_EQ(target[6 * row + 4], 7) << "columns beyond are not written";
  }
}

}  // namespace softmoe::kernels::gemm_test
