#include "kernels/panel_merging.h"

#include "kernels/simd/groups.h"
#include "kernels/simd/vector.h"

namespace softmoe::kernels::SOFTMOE_LEVEL {
namespace {

/// How many units ahead of the sum panels are fetched: processors follow fewer streams than there
/// are panels.
constexpr int64_t kUnitsAhead = 8;

/// Value kValue of each unit, for kInt8 times 2^24.
template <Precision kPrecision, int kValue>
Floats value_of(Ints units) {
  if constexpr (kPrecision == Precision::kFloat32) {
    return as_floats(units);
  } else if constexpr (kPrecision == Precision::kBFloat16) {
    return kValue == 0 ? low_bf16(units) : high_bf16(units);
  } else {
    // The byte alone, as the highest of the integer.
    return to_floats(bit_and(shift_left<24 - 8 * kValue>(units), set1_ints(-(1 << 24))));
  }
}

/// Adds factor times the values of `units` to the sum of each of them.
template <Precision kPrecision>
void add_values(Ints units, Floats factor, Floats* sums) {
  sums[0] = fmadd(factor, value_of<kPrecision, 0>(units), sums[0]);
  if constexpr (kPrecision != Precision::kFloat32) {
    sums[1] = fmadd(factor, value_of<kPrecision, 1>(units), sums[1]);
  }
  if constexpr (kPrecision == Precision::kInt8) {
    sums[2] = fmadd(factor, value_of<kPrecision, 2>(units), sums[2]);
    sums[3] = fmadd(factor, value_of<kPrecision, 3>(units), sums[3]);
  }
}

template <Precision kPrecision>
void merge(const PanelMixture& mixture, Unit* out) {
  constexpr int64_t kValues = values_per_unit(kPrecision);
  const auto [precision, panels, stride, count, units, factors] = mixture;
  const Floats unscale = set1(kPrecision == Precision::kInt8 ? 0x1p-24F : 1.0F);
  for (int64_t unit = 0; unit < units; ++unit) {
    for (int64_t column = 0; column < kPanelColumns; column += kLanes) {
      const int64_t at = unit * kPanelColumns + column;
      Floats sums[kValues];
      for (auto& sum : sums) {
        sum = zero();
      }
      for (int64_t index = 0; index < count; ++index) {
        const Unit* const source = panels + index * stride + at;
        fetch_line(source + kUnitsAhead * kPanelColumns);
        const Floats factor = mul(unscale, load(factors + index * kPanelColumns + column));
        add_values<kPrecision>(load_ints(source), factor, sums);
      }
      if constexpr (kPrecision == Precision::kFloat32) {
        store(reinterpret_cast<float*>(out) + at, sums[0]);
      } else {
        for (int64_t value = 0; value < kValues; value += 2) {
          const int64_t target = (unit * kValues + value) / 2;
          store_ints(out + target * kPanelColumns + column,
                     pair_bf16(sums[value], sums[value + 1]));
        }
      }
    }
  }
}

void merge_panels(const PanelMixture& mixture, Unit* out) {
  const auto merge_them = mixture.precision == Precision::kFloat32    ? merge<Precision::kFloat32>
                          : mixture.precision == Precision::kBFloat16 ? merge<Precision::kBFloat16>
                                                                      : merge<Precision::kInt8>;
  merge_them(mixture, out);
}

}  // namespace

const MergeKernels kMergeKernels{.merge_panels = merge_panels};

}  // namespace softmoe::kernels::SOFTMOE_LEVEL
