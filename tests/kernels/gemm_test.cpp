#include "kernels/gemm.h"

#include <array>
#include <utility>

#include "kernels/kernel_test.h"

namespace softmoe::kernels::gemm_test {

using namespace softmoe::test;  // NOLINT: plain C++ to compare with

using GemmTest = LevelTest;
INSTANTIATE_TEST_SUITE_P(Levels, GemmTest, every_level(), level_name);

using Units = std::vector<Unit>;

/// Rows as products take them: those of bf16 have an even stride, odd columns filled up with zero.
struct LeftRows {
  LeftRows(Precision precision, const Matrix& a)
      : fp32(floats(a.values)), stride(round_up(a.columns, values_per_unit(precision))) {
    if (precision == Precision::kBFloat16) {
      bf16.resize(static_cast<size_t>(a.rows * stride), 7);
      table().to_bf16({.fp32 = fp32.data()}, a.columns, a.rows, a.columns, bf16.data(), stride);
    }
  }
  LeftUnits factor() const {
    return left_rows(bf16.empty() ? Source{.fp32 = fp32.data()} : Source{.bf16 = bf16.data()},
                     stride);
  }

  Floats fp32;
  Bf16s bf16;
  int64_t stride;
};

/// b [depth, columns] packed from its transpose.
Units pack(Precision precision, const Matrix& b) {
  const auto w = floats(b.transposed().values);
  Units packed(static_cast<size_t>(packed_size(precision, b.rows, b.columns)), 7);
  table().pack_transposed(precision, {.fp32 = w.data()}, b.rows, b.rows, 0, b.columns,
                          packed.data());
  return packed;
}

GemmShape shape_of(Precision precision, const Matrix& a, const Matrix& b) {
  return {.precision = precision,
          .rows = a.rows,
          .columns = b.columns,
          .units = units_of(precision, a.columns)};
}

/// `bias` [1, columns] added to every row.
Matrix plus_bias(Matrix sum, const Matrix& bias) {
  for (int64_t row = 0; row < sum.rows; ++row) {
    for (int64_t column = 0; column < sum.columns; ++column) {
      sum.at(row, column) += bias.at(0, column);
    }
  }
  return sum;
}

struct Sizes {
  int64_t rows;
  int64_t depth;
  int64_t columns;
};
void PrintTo(const Sizes& sizes, std::ostream* out) {
  *out << sizes.rows << " x " << sizes.depth << " x " << sizes.columns;
}
constexpr std::array<Sizes, 6> kSizes{
    {{1, 3, 1}, {2, 6, 16}, {3, 64, 33}, {7, 33, 70}, {8, 70, 32}, {19, 96, 100}}};

/// Calls function(precision, sizes) for both precisions and all sizes.
template <typename Function>
void for_each_product(const Function& function) {
  for (const auto precision : kKernelPrecisions) {
    for (const auto& sizes : kSizes) {
      SCOPED_TRACE(testing::PrintToString(sizes) + " in " + enum_name(precision));
      function(precision, sizes);
    }
  }
}

TEST_P(GemmTest, PackingIsTheSameFromEitherOrientationAndPrecision) {
  for_each_product([](Precision precision, const Sizes& sizes) {
    const auto [rows, depth, columns] = sizes;
    const auto b = random_matrix(depth, columns, 1);
    const auto expected = pack(precision, b);
    Units packed(expected.size(), 9);
    if (precision == Precision::kBFloat16) {
      const auto w_bf16 = bf16s(b.transposed().values);
      table().pack_transposed(precision, {.bf16 = w_bf16.data()}, depth, depth, 0, columns,
                              packed.data());
      EXPECT_EQ(packed, expected);
    }
    const auto b_fp32 = floats(b.values);
    table().pack_rows(precision, {.fp32 = b_fp32.data()}, columns, depth, 0, columns,
                      packed.data());
    EXPECT_EQ(packed, expected);
    // In two parts, as two threads would.
    Units parts(expected.size(), 9);
    const int64_t middle = std::min<int64_t>(kPanelColumns, columns);
    for (const auto& [first, last] : {std::pair{int64_t{0}, middle}, std::pair{middle, columns}}) {
      table().pack_rows(precision, {.fp32 = b_fp32.data()}, columns, depth, first, last,
                        parts.data());
    }
    EXPECT_EQ(parts, expected);
  });
}

TEST_P(GemmTest, MultipliesAnyShapeAndAddsBiasAndResidual) {
  for_each_product([](Precision precision, const Sizes& sizes) {
    const auto [rows, depth, columns] = sizes;
    const auto a = random_matrix(rows, depth, 2);
    const auto b = random_matrix(depth, columns, 3);
    const auto bias = random_matrix(1, columns, 4);
    const auto residual = random_matrix(rows, columns, 5);
    const auto expected = plus_bias(a * b + residual, bias);
    const auto packed = pack(precision, b);
    const LeftRows left(precision, a);
    const auto fp32_bias = floats(bias.values);
    const auto fp32_residual = floats(residual.values);
    Floats out(expected.values.size() + 1, 7.0F);
    auto shape = shape_of(precision, a, b);
    table().gemm(shape, left.factor(), packed.data(), fp32_bias.data(), fp32_residual.data(),
                 {.fp32 = out.data()}, columns);
    EXPECT_EQ(out.back(), 7.0F);
    out.pop_back();
    EXPECT_TRUE(near(out, expected.values, kFp32Tolerance));

    // Memory that is fetched meanwhile changes nothing; without bias and residual.
    shape.next = upcoming({.fp32 = out.data()}, columns, rows, columns);
    for (const auto out_precision : kKernelPrecisions) {
      Values product(out_precision, out.size());
      table().gemm(shape, left.factor(), packed.data(), nullptr, nullptr, product.target(),
                   columns);
      EXPECT_TRUE(near(product, (a * b).values));
    }
  });
}

/// y^T x with factors packed from fp32.
struct TransposedExample {
  TransposedExample(Precision precision, int64_t rows, int64_t left_columns, int64_t columns)
      : y(random_matrix(rows, left_columns, 6)),
        x(random_matrix(rows, columns, 7)),
        shape{.precision = precision,
              .rows = left_columns,
              .columns = columns,
              .units = units_of(precision, rows)},
        left(static_cast<size_t>(round_up(left_columns, kTileRows) * shape.units)),
        right(static_cast<size_t>(packed_size(precision, rows, columns))),
        sums(static_cast<size_t>(left_columns), 1.0F) {
    const auto fp32_y = floats(y.values);
    const auto fp32_x = floats(x.values);
    table().pack_left_transposed(precision, {.fp32 = fp32_y.data()}, left_columns, rows, 0,
                                 left_columns, left.data(), sums.data());
    table().pack_rows(precision, {.fp32 = fp32_x.data()}, columns, rows, 0, columns, right.data());
  }

  /// In two parts, as two threads would.
  void run(OutputMode mode, float* out) const {
    const int64_t middle = std::min<int64_t>(kTileRows, shape.rows);
    table().gemm_left_transposed(shape, 0, middle, left.data(), right.data(), mode, out,
                                 shape.columns);
    table().gemm_left_transposed(shape, middle, shape.rows, left.data(), right.data(), mode, out,
                                 shape.columns);
  }

  Matrix y;
  Matrix x;
  GemmShape shape;
  Units left;
  Units right;
  Floats sums;
};

TEST_P(GemmTest, MultipliesATransposedLeftFactorInEveryMode) {
  for (const auto precision : kKernelPrecisions) {
    for (const auto& [rows, left_columns, columns] :
         {Sizes{1, 8, 16}, Sizes{6, 16, 32}, Sizes{33, 19, 48}, Sizes{70, 45, 33}}) {
      SCOPED_TRACE(std::to_string(rows) + " rows in " + enum_name(precision));
      const TransposedExample example(precision, rows, left_columns, columns);
      const auto expected_sums = Matrix(1, left_columns, 1.0) + Matrix(1, rows, 1.0) * example.y;
      EXPECT_TRUE(near(example.sums, expected_sums.values, kFp32Tolerance));
      const auto product = example.y.transposed() * example.x;
      Floats out(product.values.size(), 7.0F);
      example.run(OutputMode::kReplace, out.data());
      EXPECT_TRUE(near(out, product.values, kFp32Tolerance));
      example.run(OutputMode::kAdd, out.data());
      EXPECT_TRUE(near(out, (product + product).values, kFp32Tolerance));
      if (columns % 16 == 0) {
        Floats memory(product.values.size() + 16, 7.0F);
        const auto misfit = reinterpret_cast<uintptr_t>(memory.data()) % 64 / sizeof(float);
        float* const aligned = memory.data() + (16 - misfit) % 16;
        example.run(OutputMode::kStream, aligned);
        EXPECT_TRUE(near(Floats(aligned, aligned + out.size()), product.values, kFp32Tolerance));
      }
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
  for_each_product([](Precision precision, const Sizes& sizes) {
    const auto [rows, depth, columns] = sizes;
    const auto a = random_matrix(rows, depth, 8);
    const auto b = random_matrix(depth, columns, 9, 0.3);
    const auto bias = random_matrix(1, columns, 10);
    const auto expected = plus_bias(a * b, bias);
    const auto packed = pack(precision, b);
    const LeftRows left(precision, a);
    const auto fp32_bias = floats(bias.values);
    for (const auto& [kind, plain] : kKinds) {
      auto activated = expected.values;
      for (auto& value : activated) {
        value = plain(value);
      }
      Values before(precision, activated.size());
      Values after(precision, activated.size());
      const auto run = [&, kind = kind](Target before_target, Target after_target) {
        table().gemm_gelu(shape_of(precision, a, b), left.factor(), packed.data(), fp32_bias.data(),
                          kind, before_target, after_target, columns);
      };
      run(before.target(), after.target());
      EXPECT_TRUE(near(before, expected.values));
      EXPECT_TRUE(near(after, activated));
      Values alone(precision, activated.size());
      run(/*before_target=*/{}, alone.target());
      EXPECT_EQ(alone, after);
    }
  });
}

TEST_P(GemmTest, MultipliesGradientsByTheSlopeOfGelu) {
  for_each_product([](Precision precision, const Sizes& sizes) {
    const auto [rows, depth, columns] = sizes;
    const auto d_out = random_matrix(rows, depth, 11);
    const auto w = random_matrix(depth, columns, 12, 0.3);
    const auto before = random_matrix(rows, columns, 13);
    const auto packed = pack(precision, w);
    const LeftRows left(precision, d_out);
    const Values before_values(precision, before.values);
    for (const auto& [kind, plain] : kKinds) {
      auto activated = before.values;
      auto d_before = (d_out * w).values;
      for (size_t at = 0; at < activated.size(); ++at) {
        activated[at] = plain(before.values[at]);
        d_before[at] *= derivative(plain, before.values[at]);
      }
      Values after(precision, activated.size());
      Values actual(precision, activated.size());
      table().gemm_gelu_backward(shape_of(precision, d_out, w), left.factor(), packed.data(), kind,
                                 before_values.source(), after.target(), actual.target(), columns);
      EXPECT_TRUE(near(after, activated));
      EXPECT_TRUE(near(actual, d_before));
    }
  });
}

TEST_P(GemmTest, ConversionFillsOddColumns) {
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
