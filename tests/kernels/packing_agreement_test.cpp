/// Packed factors and copies of every level against those of the portable one.

#include <numeric>

#include "kernels/agreement.h"
#include "kernels/values/kernel_values.h"

namespace softmoe::kernels::packing_agreement_test {

TEST(PackingOfLevels, AgreesOnFactorsOfTraining) {
  for_each_size([](Precision precision, int64_t rows, int64_t columns) {
    const auto fp32 = lively_values(rows * columns, 1);
    const auto bf16 = rounded(fp32);
    std::vector<Source> sources{{.fp32 = fp32.data()}};
    if (precision == Precision::kBFloat16) {
      sources.push_back({.bf16 = bf16.data()});
    }
    for (const auto& source : sources) {
      expect_equal([&](const KernelTable& kernels) {
        Units packed(static_cast<size_t>(packed_size(precision, columns, rows)), 7);
        kernels.pack_transposed(precision, source, columns, columns, 0, rows, packed.data());
        return packed;
      });
      expect_equal([&](const KernelTable& kernels) {
        Units packed(static_cast<size_t>(packed_size(precision, rows, columns)), 7);
        kernels.pack_rows(precision, source, columns, rows, 0, columns, packed.data());
        return packed;
      });
      expect_equal([&](const KernelTable& kernels) {
        Units packed(static_cast<size_t>(round_up(columns, kTileRows) * units_of(precision, rows)),
                     7);
        kernels.pack_left_transposed(precision, source, columns, rows, 0, columns, packed.data(),
                                     /*column_sums=*/nullptr);
        return values::left_in_tiles(kernels, precision, packed, units_of(precision, rows));
      });
    }
  });
}

TEST(PackingOfLevels, AgreesOnPanelsOfSlotParameters) {
  for (const int64_t experts : {5, 11}) {
    const MixingShape shape{
        .batch = 1, .tokens = 1, .experts = experts, .slots_per_expert = 7, .dim = 48, .eps = 0.0F};
    const auto keys = lively_values(shape.dim * shape.slots(), 3);
    expect_equal([&](const KernelTable& kernels) {
      Floats panels(static_cast<size_t>(shape.keys()), 7.0F);
      kernels.pack_keys(shape, keys.data(), panels.data());
      return bits_of(panels);
    });
    expect_equal([&](const KernelTable& kernels) {
      Floats panels(static_cast<size_t>(shape.keys()), 7.0F);
      kernels.pack_keys(shape, keys.data(), panels.data());
      Floats transposed(panels.size(), 7.0F);
      kernels.transpose_keys(shape, panels.data(), transposed.data());
      return bits_of(transposed);
    });
  }
}

TEST(PackingOfLevels, AgreesOnRowsAndPanelsOfUnits) {
  for_each_size([](Precision precision, int64_t rows, int64_t columns) {
    const auto values = lively_values(2 * columns, 4);
    expect_equal([&](const KernelTable& kernels) {
      Units units(static_cast<size_t>(units_of(precision, columns)), 7);
      kernels.encode_row(precision, {.fp32 = values.data()}, columns, 0.75F, units.data());
      return units;
    });
    expect_equal([&](const KernelTable& kernels) {
      Units panels(static_cast<size_t>(panels_of(columns) * kPanelColumns), 7);
      kernels.pack_depth_unit(precision, {.fp32 = values.data()}, {.fp32 = values.data() + columns},
                              columns, panels.data(), kPanelColumns);
      panels.resize(static_cast<size_t>(columns));  // what is behind them is unspecified
      return panels;
    });
    Units units(static_cast<size_t>(rows * columns));
    std::iota(units.begin(), units.end(), 1);
    expect_equal([&](const KernelTable& kernels) {
      Units panel(static_cast<size_t>(columns * kPanelColumns), 7);
      kernels.pack_panel(units.data(), columns, std::min(rows, kPanelColumns), columns,
                         panel.data());
      return panel;
    });
  });
}

TEST(PackingOfLevels, AgreesOnCopiesOfRows) {
  for (const int64_t dim : {1, 4, 15, 64, 147}) {
    const auto fp32 = lively_values(dim, 6);
    const auto bf16 = rounded(fp32);
    for (const auto& source : {Source{.fp32 = fp32.data()}, Source{.bf16 = bf16.data()}}) {
      expect_equal([&](const KernelTable& kernels) {
        Floats out(static_cast<size_t>(dim) + 1, 7.0F);
        kernels.copy_row(source, dim, {.fp32 = out.data()});
        return bits_of(out);
      });
      expect_equal([&](const KernelTable& kernels) {
        Bf16s out(static_cast<size_t>(dim) + 1, 7);
        kernels.copy_row(source, dim, {.bf16 = out.data()});
        return out;
      });
    }
  }
}

}  // namespace softmoe::kernels::packing_agreement_test
