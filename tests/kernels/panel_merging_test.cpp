#include "kernels/panel_merging.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/kernel_test.h"

namespace softmoe::kernels::panel_merging_test {

using namespace softmoe::test;  // NOLINT: plain C++ to compare with

class PanelMergingTest : public test::LevelTest {};
INSTANTIATE_TEST_SUITE_P(Levels, PanelMergingTest, test::every_level(), test::level_name);

using Units = std::vector<Unit>;

constexpr int64_t kPanels = 3;
constexpr int64_t kUnits = 5;
constexpr int64_t kStride = (kUnits + 2) * kPanelColumns;

/// The units of a panel [depth, 32] of whole numbers from -127 to 127.
Units units_of_panel(Precision precision, const Matrix& panel) {
  const int64_t each = values_per_unit(precision);
  Units units(static_cast<size_t>(panel.rows / each * kPanelColumns));
  for (int64_t at = 0; at < static_cast<int64_t>(units.size()); ++at) {
    for (int64_t value = 0; value < each; ++value) {
      const double number = panel.at(at / kPanelColumns * each + value, at % kPanelColumns);
      Unit bits = 0;
      if (precision == Precision::kInt8) {
        bits = static_cast<uint8_t>(static_cast<int8_t>(number));
      } else if (precision == Precision::kBFloat16) {
        bits = bf16s({number})[0];
      } else {
        const auto single = static_cast<float>(number);
        std::memcpy(&bits, &single, sizeof(bits));
      }
      units[static_cast<size_t>(at)] |= bits << (value * 32 / each);
    }
  }
  return units;
}

/// The values [depth, 32] of a merged panel.
Floats values_of_panel(Precision merged, const Units& units) {
  Floats values;
  const int64_t each = values_per_unit(merged);
  for (size_t unit = 0; unit < units.size(); unit += kPanelColumns) {
    for (int64_t value = 0; value < each; ++value) {
      for (size_t column = 0; column < kPanelColumns; ++column) {
        const Unit bits =
            each == 1 ? units[unit + column] : units[unit + column] >> (16 * value) << 16;
        float number = 0.0F;
        std::memcpy(&number, &bits, sizeof(number));
        values.push_back(number);
      }
    }
  }
  return values;
}

TEST_P(PanelMergingTest, PanelsAreAddedTimesTheFactorsOfTheirColumns) {
  for (const auto precision : {Precision::kFloat32, Precision::kBFloat16, Precision::kInt8}) {
    const int64_t depth = kUnits * values_per_unit(precision);
    const auto factors = random_matrix(kPanels, kPanelColumns, 1);
    Matrix expected(depth, kPanelColumns);
    Units panels(static_cast<size_t>(kPanels * kStride), 7);
    for (int64_t index = 0; index < kPanels; ++index) {
      auto panel = random_matrix(depth, kPanelColumns, static_cast<uint32_t>(index) + 2, 40.0);
      for (int64_t at = 0; at < depth * kPanelColumns; ++at) {
        auto& value = panel.values[static_cast<size_t>(at)];
        value = std::clamp(std::rint(value), -127.0, 127.0);
        expected.values[static_cast<size_t>(at)] += factors.at(index, at % kPanelColumns) * value;
      }
      const auto units = units_of_panel(precision, panel);
      std::copy(units.begin(), units.end(), panels.begin() + index * kStride);
    }
    const auto merged =
        precision == Precision::kFloat32 ? Precision::kFloat32 : Precision::kBFloat16;
    Units out(static_cast<size_t>(units_of(merged, depth) * kPanelColumns));
    const auto fp32_factors = floats(factors.values);
    table().merge_panels({.precision = precision,
                          .panels = panels.data(),
                          .stride = kStride,
                          .count = kPanels,
                          .units = kUnits,
                          .factors = fp32_factors.data()},
                         out.data());
    EXPECT_TRUE(near(values_of_panel(merged, out), expected.values,
                     merged == Precision::kFloat32 ? kFp32Tolerance : kBf16Tolerance))
        << enum_name(precision);
  }
}

}  // namespace softmoe::kernels::panel_merging_test
