#include "kernels/packed_factors.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "kernels/kernel_test.h"

namespace softmoe::kernels::packed_factors_test {

using namespace softmoe::test;  // NOLINT: plain C++ to compare with

using PackedFactorsTest = LevelTest;
INSTANTIATE_TEST_SUITE_P(Levels, PackedFactorsTest, every_level(), level_name);

using Units = std::vector<Unit>;

constexpr std::array<int64_t, 5> kDepths{1, 3, 16, 37, 130};

Floats fp32_values(const Units& units) {
  Floats values(units.size());
  std::memcpy(values.data(), units.data(), units.size() * sizeof(Unit));
  return values;
}

Bf16s bf16_values(const Units& units) {
  Bf16s values(2 * units.size());
  std::memcpy(values.data(), units.data(), units.size() * sizeof(Unit));
  return values;
}

std::vector<uint8_t> bytes_of(const Units& units) {
  std::vector<uint8_t> bytes(4 * units.size());
  std::memcpy(bytes.data(), units.data(), bytes.size());
  return bytes;
}

Doubles scaled(Doubles values, double factor) {
  for (auto& value : values) {
    value *= factor;
  }
  return values;
}

TEST_P(PackedFactorsTest, RowsAreEncodedTimesAFactorAndFilledUpWithZero) {
  constexpr float kFactor = -0.75F;
  for (const int64_t depth : kDepths) {
    const auto row = random_matrix(1, depth, 1);
    const auto fp32 = floats(row.values);
    const auto expected = scaled(row.values, kFactor);
    Units units(static_cast<size_t>(depth), 7);
    table().encode_row(Precision::kFloat32, {.fp32 = fp32.data()}, depth, kFactor, units.data());
    EXPECT_TRUE(near(fp32_values(units), expected, 0)) << depth;
    Units pairs(static_cast<size_t>(units_of(Precision::kBFloat16, depth)), 7);
    table().encode_row(Precision::kBFloat16, {.fp32 = fp32.data()}, depth, kFactor, pairs.data());
    auto rounded = bf16s(expected);
    rounded.resize(2 * pairs.size());
    EXPECT_EQ(floats(bf16_values(pairs)), floats(rounded)) << depth;  // -0 is zero, too
  }
}

TEST_P(PackedFactorsTest, IntegersHoldTheRowToHalfAStep) {
  constexpr float kFactor = 2.0F;
  for (const int64_t depth : kDepths) {
    const auto row = random_matrix(1, depth, 2);
    const auto fp32 = floats(row.values);
    const int64_t chunk = 48;
    const int64_t chunks = (depth + chunk - 1) / chunk;
    Units units(static_cast<size_t>(units_of(Precision::kInt8, depth)), 7);
    std::vector<int32_t> sums(static_cast<size_t>(3 * chunks), 7);
    const float scale = table().encode_row_int8({.fp32 = fp32.data()}, depth, kFactor, chunk,
                                                units.data(), sums.data(), /*stride=*/3);
    const auto bytes = bytes_of(units);
    std::vector<int32_t> expected_sums(static_cast<size_t>(chunks));
    for (int64_t at = 0; at < static_cast<int64_t>(bytes.size()); ++at) {
      const auto integer = static_cast<int8_t>(bytes[static_cast<size_t>(at)]);
      if (at >= depth) {
        EXPECT_EQ(integer, 0) << depth;
        continue;
      }
      EXPECT_NEAR(scale * static_cast<float>(integer), kFactor * row.at(0, at), 0.501 * scale);
      expected_sums[static_cast<size_t>(at / chunk)] += integer;
    }
    for (int64_t at = 0; at < chunks; ++at) {
      EXPECT_EQ(sums[static_cast<size_t>(3 * at)], expected_sums[static_cast<size_t>(at)]) << depth;
    }
  }
}

TEST_P(PackedFactorsTest, PanelsHoldTheTransposedRows) {
  for (const int64_t count : {1, 17, 32}) {
    for (const int64_t units : {1, 16, 21}) {
      const int64_t stride = units + 2;
      Units rows(static_cast<size_t>(count * stride));
      for (size_t at = 0; at < rows.size(); ++at) {
        rows[at] = static_cast<Unit>(at + 1);
      }
      Units panel(static_cast<size_t>(units * kPanelColumns), 7);
      table().pack_panel(rows.data(), stride, count, units, panel.data());
      for (int64_t unit = 0; unit < units; ++unit) {
        for (int64_t column = 0; column < kPanelColumns; ++column) {
          ASSERT_EQ(panel[static_cast<size_t>(unit * kPanelColumns + column)],
                    column < count ? rows[static_cast<size_t>(column * stride + unit)] : 0);
        }
      }
    }
  }
}

TEST_P(PackedFactorsTest, UnitsOfTheDepthHoldOneRowOrTwo) {
  for (const int64_t columns : {5, 32, 47}) {
    const auto rows = random_matrix(2, columns, 3);
    const auto fp32 = floats(rows.values);
    const Source first{.fp32 = fp32.data()};
    const Source second = first.offset(columns);
    // The panels have two units of depth, of which the second one is written.
    const int64_t stride = 2 * kPanelColumns;
    Units panels(static_cast<size_t>(panels_of(columns) * stride));
    Unit* const target = panels.data() + kPanelColumns;
    const auto unit_at = [&](int64_t column) {
      return panels[static_cast<size_t>(column / kPanelColumns * stride + kPanelColumns +
                                        column % kPanelColumns)];
    };
    table().pack_depth_unit(Precision::kFloat32, first, {}, columns, target, stride);
    for (int64_t column = 0; column < columns; ++column) {
      ASSERT_EQ(fp32_values({unit_at(column)})[0], fp32[static_cast<size_t>(column)]);
    }
    for (const bool has_second : {true, false}) {
      table().pack_depth_unit(Precision::kBFloat16, first, has_second ? second : Source{}, columns,
                              target, stride);
      for (int64_t column = 0; column < columns; ++column) {
        const Doubles expected{rows.at(0, column), has_second ? rows.at(1, column) : 0.0};
        ASSERT_EQ(bf16_values({unit_at(column)}), bf16s(expected)) << column;
      }
    }
  }
}

TEST_P(PackedFactorsTest, BytesHoldRowsToOneStep) {
  for (const int64_t columns : kDepths) {
    const int64_t units = units_of(Precision::kInt8, columns);
    const auto rows = random_matrix(3, columns, 4);
    const auto fp32 = floats(rows.values);
    Units out(static_cast<size_t>(3 * (units + 1)));
    Floats scales(3);
    Floats zeros(3);
    table().quantize_bytes({.fp32 = fp32.data()}, columns, 3, columns, out.data(), units + 1,
                           scales.data(), zeros.data());
    const auto bytes = bytes_of(out);
    for (int64_t row = 0; row < 3; ++row) {
      const auto index = static_cast<size_t>(row);
      for (int64_t column = 0; column < columns; ++column) {
        const auto byte = bytes[static_cast<size_t>(4 * row * (units + 1) + column)];
        // Zero is on the grid, which costs the ends of the range up to half a step.
        ASSERT_NEAR(scales[index] * (static_cast<float>(byte) - zeros[index]), rows.at(row, column),
                    1.001 * scales[index]);
      }
    }
  }
}

TEST_P(PackedFactorsTest, PlanesHoldRowsIn16Bits) {
  for (const int64_t columns : kDepths) {
    const int64_t units = units_of(Precision::kInt8, columns);
    const auto rows = random_matrix(2, columns, 5);
    const auto bf16 = bf16s(rows.values);
    Units out(static_cast<size_t>(4 * units));
    Floats scales(2);
    table().quantize_planes(bf16.data(), columns, 2, columns, out.data(), units, scales.data());
    const auto bytes = bytes_of(out);
    for (int64_t row = 0; row < 2; ++row) {
      const float scale = scales[static_cast<size_t>(row)];
      for (int64_t column = 0; column < columns; ++column) {
        const auto high = bytes[static_cast<size_t>(8 * row * units + column)];
        const auto low = bytes[static_cast<size_t>(8 * row * units + 4 * units + column)];
        ASSERT_NEAR(scale * static_cast<float>(256 * high + low - 32768), rows.at(row, column),
                    0.502 * scale);
      }
    }
  }
}

TEST_P(PackedFactorsTest, NaNIsKeptByQuantizedRows) {
  Floats values(80, 1.0F);
  values[3] = std::nanf("");
  Units units(20);
  Floats scales(2);
  Floats zeros(2);
  table().quantize_bytes({.fp32 = values.data()}, 40, 2, 40, units.data(), 10, scales.data(),
                         zeros.data());
  EXPECT_TRUE(std::isnan(scales[0]));
  EXPECT_FLOAT_EQ(scales[1], 1.0F / 255.0F);
}

TEST_P(PackedFactorsTest, RowsAreNormalisedIntoBothPrecisions) {
  for (const int64_t dim : {5, 16, 37, 64}) {
    const auto x = random_matrix(6, dim, 6);  // a group of four rows and single ones
    const auto weight = random_matrix(1, dim, 7);
    const auto bias = random_matrix(1, dim, 8);
    const auto fp32_x = floats(x.values);
    const auto fp32_weight = floats(weight.values);
    const auto fp32_bias = floats(bias.values);
    for (const bool has_bias : {false, true}) {
      const RowNorm norm{.dim = dim,
                         .eps = 1e-5F,
                         .weight = fp32_weight.data(),
                         .bias = has_bias ? fp32_bias.data() : nullptr};
      const auto expected =
          layer_norm(x, weight.values, has_bias ? bias.values : Doubles{}, 1e-5).values;
      Floats fp32(expected.size());
      Bf16s bf16(expected.size());
      table().norm_rows(norm, fp32_x.data(), dim, 6, fp32.data(), dim, bf16.data(), dim);
      EXPECT_TRUE(near(fp32, expected, 1e-5)) << dim;
      EXPECT_TRUE(near(floats(bf16), expected, kBf16Tolerance)) << dim;
      auto in_place = fp32_x;
      table().norm_rows(norm, in_place.data(), dim, 6, in_place.data(), dim, nullptr, 0);
      EXPECT_EQ(in_place, fp32) << dim;
    }
  }
}

TEST_P(PackedFactorsTest, InverseNormsAndSums) {
  constexpr float kEps = 1e-3F;
  for (const int64_t columns : {3, 16, 29}) {
    const auto rows = random_matrix(4, columns, 9);
    const auto fp32 = floats(rows.values);
    Doubles expected;
    for (int64_t row = 0; row < 4; ++row) {
      double square = kEps;
      for (int64_t column = 0; column < columns; ++column) {
        square += rows.at(row, column) * rows.at(row, column);
      }
      expected.push_back(1.0 / std::sqrt(square));
    }
    Floats inverse(4);
    table().inverse_norms(fp32.data(), columns, 4, columns, kEps, inverse.data());
    EXPECT_TRUE(near(inverse, expected, kFp32Tolerance)) << columns;

    auto positive = rows;
    std::transform(rows.values.begin(), rows.values.end(), positive.values.begin(),
                   [](double value) { return std::abs(value) + 0.5; });
    const auto fp32_positive = floats(positive.values);
    Doubles sums;
    for (int64_t column = 0; column < columns; ++column) {
      double sum = 0.0;
      for (int64_t row = 0; row < 4; ++row) {
        sum += positive.at(row, column);
      }
      sums.push_back(1.0 / sum);
    }
    Floats inverse_sums(static_cast<size_t>(columns));
    table().inverse_column_sums({.fp32 = fp32_positive.data()}, columns, 4, columns,
                                inverse_sums.data());
    EXPECT_TRUE(near(inverse_sums, sums, kFp32Tolerance)) << columns;
  }
}

TEST_P(PackedFactorsTest, ExponentialsComeWithTheirInverseSumsAndZeroPadding) {
  for (const int64_t columns : {1, 16, 27}) {
    const int64_t padded = round_up(columns, 32);
    const auto rows = random_matrix(3, columns, 10);
    const auto fp32 = floats(rows.values);
    Matrix expected(3, padded);
    Doubles inverse;
    for (int64_t row = 0; row < 3; ++row) {
      double sum = 0.0;
      for (int64_t column = 0; column < columns; ++column) {
        expected.at(row, column) = std::exp(rows.at(row, column));
        sum += expected.at(row, column);
      }
      inverse.push_back(1.0 / sum);
    }
    Floats out(expected.values.size(), 7.0F);
    Bf16s bf16_out(expected.values.size(), 7);
    Floats inverse_sums(3);
    table().exponential_rows(fp32.data(), columns, 3, columns, padded, {.fp32 = out.data()}, padded,
                             inverse_sums.data());
    EXPECT_TRUE(near(out, expected.values, kFp32Tolerance)) << columns;
    EXPECT_TRUE(near(inverse_sums, inverse, kFp32Tolerance)) << columns;
    table().exponential_rows(fp32.data(), columns, 3, columns, padded, {.bf16 = bf16_out.data()},
                             padded, inverse_sums.data());
    EXPECT_TRUE(near(floats(bf16_out), expected.values, kBf16Tolerance)) << columns;
  }
}

}  // namespace softmoe::kernels::packed_factors_test
