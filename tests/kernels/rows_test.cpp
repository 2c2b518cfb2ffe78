#include "kernels/rows.h"

#include <array>

#include "kernels/kernel_test.h"

namespace softmoe::kernels::rows_test {

using namespace softmoe::test;  // NOLINT: plain C++ to compare with

using RowsTest = LevelTest;
INSTANTIATE_TEST_SUITE_P(Levels, RowsTest, every_level(), level_name);

constexpr std::array<int64_t, 4> kDims{1, 16, 23, 64};

TEST_P(RowsTest, CopyConvertsBetweenPrecisions) {
  for (const int64_t dim : kDims) {
    const auto row = random_matrix(1, dim, 1);
    const auto fp32 = floats(row.values);
    const auto bf16 = bf16s(row.values);
    // One value beyond the row must stay as it is.
    Floats to_fp32(static_cast<size_t>(dim) + 1, 7.0F);
    Bf16s to_bf16(static_cast<size_t>(dim) + 1, 7);
    table().copy_row({.bf16 = bf16.data()}, dim, {.fp32 = to_fp32.data()});
    table().copy_row({.fp32 = fp32.data()}, dim, {.bf16 = to_bf16.data()});
    EXPECT_EQ(to_fp32.back(), 7.0F);
    EXPECT_EQ(to_bf16.back(), 7);
    to_fp32.pop_back();
    to_bf16.pop_back();
    EXPECT_EQ(to_fp32, fp32);
    EXPECT_EQ(to_bf16, bf16);
  }
}

TEST_P(RowsTest, SumsRowsByIndexWithGates) {
  constexpr std::array<int64_t, 3> kIndex{4, 0, 2};
  for (const int64_t dim : kDims) {
    const auto rows = random_matrix(5, dim, 2);
    const auto gates = random_matrix(1, 5, 3);
    const auto fp32 = floats(rows.values);
    const auto bf16 = bf16s(rows.values);
    const auto fp32_gates = floats(gates.values);
    for (const bool has_gates : {false, true}) {
      Matrix expected(1, dim);
      for (const int64_t index : kIndex) {
        for (int64_t channel = 0; channel < dim; ++channel) {
          expected.at(0, channel) +=
              rows.at(index, channel) * (has_gates ? gates.at(0, index) : 1.0);
        }
      }
      const float* const gate = has_gates ? fp32_gates.data() : nullptr;
      RowSum sum{.rows = {.fp32 = fp32.data()},
                 .stride = dim,
                 .gate = gate,
                 .index = kIndex.data(),
                 .count = 3};
      Floats out(static_cast<size_t>(dim));
      table().sum_rows(sum, dim, {.fp32 = out.data()});
      EXPECT_TRUE(near(out, expected.values, kFp32Tolerance)) << dim;
      sum.rows = {.bf16 = bf16.data()};
      Bf16s out_bf16(static_cast<size_t>(dim));
      table().sum_rows(sum, dim, {.bf16 = out_bf16.data()});
      EXPECT_TRUE(near(floats(out_bf16), expected.values, kBf16Tolerance)) << dim;
    }
    Floats nothing(static_cast<size_t>(dim), 7.0F);
    table().sum_rows({.rows = {.fp32 = fp32.data()}, .stride = dim}, dim, {.fp32 = nothing.data()});
    EXPECT_EQ(nothing, Floats(static_cast<size_t>(dim), 0.0F));
  }
}

TEST_P(RowsTest, SumsRowsThatLieApartOntoWhatIsThere) {
  constexpr int64_t kStride = 70;
  constexpr std::array<int64_t, 2> kIndex{2, 1};
  for (const int64_t dim : kDims) {
    const auto rows = random_matrix(3, kStride, 6);
    const auto fp32 = floats(rows.values);
    Matrix expected(1, dim);
    for (int64_t channel = 0; channel < dim; ++channel) {
      expected.at(0, channel) = 0.5 + rows.at(2, channel) + rows.at(1, channel);
    }
    Floats out(static_cast<size_t>(dim) + 1, 0.5F);
    table().sum_rows({.rows = {.fp32 = fp32.data()},
                      .stride = kStride,
                      .index = kIndex.data(),
                      .count = 2,
                      .accumulate = true},
                     dim, {.fp32 = out.data()});
    EXPECT_EQ(out.back(), 0.5F);  // beyond the row
    out.pop_back();
    EXPECT_TRUE(near(out, expected.values, kFp32Tolerance)) << dim;
  }
}

TEST_P(RowsTest, ScaleGivesBothGradientsOfAGatedRow) {
  constexpr double kGate = -1.5;
  for (const int64_t dim : kDims) {
    const auto row = random_matrix(1, dim, 4);
    const auto d_out = random_matrix(1, dim, 5);
    const auto bf16 = bf16s(row.values);
    const auto fp32_d_out = floats(d_out.values);
    Floats d_row(static_cast<size_t>(dim));
    const float d_gate = table().scale_row({.bf16 = bf16.data()}, {.fp32 = fp32_d_out.data()},
                                           static_cast<float>(kGate), dim, {.fp32 = d_row.data()});
    EXPECT_NEAR(d_gate, dot(row, d_out), 1e-5 * static_cast<double>(dim));
    auto expected = d_out;
    for (auto& value : expected.values) {
      value *= kGate;
    }
    EXPECT_TRUE(near(d_row, expected.values, kFp32Tolerance)) << dim;
  }
}

}  // namespace softmoe::kernels::rows_test
