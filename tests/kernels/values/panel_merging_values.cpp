// Mixtures of packed right factors.

#include "kernels/values/kernel_values.h"

namespace softmoe::kernels::values {
namespace {

/// Units of any bytes, or of random values.
Units random_panels(Precision precision, int64_t units) {
  Units panels(static_cast<size_t>(units));
  if (precision == Precision::kInt8) {
    std::mt19937 generator(1);
    for (auto& unit : panels) {
      unit = generator();
    }
  } else {
    const auto values = Array::random(precision, units * values_per_unit(precision), 1);
    std::memcpy(panels.data(), left_rows(values.source(), 0).data, panels.size() * sizeof(Unit));
  }
  return panels;
}

/// The values of units of fp32 or bf16.
Array values_of(Precision precision, const Units& units) {
  Array values =
      Array::unwritten(precision, static_cast<int64_t>(units.size()) * values_per_unit(precision));
  const Target target = values.target();
  void* const memory = target.bf16 != nullptr ? static_cast<void*>(target.bf16) : target.fp32;
  std::memcpy(memory, units.data(), units.size() * sizeof(Unit));
  return values;
}

}  // namespace

void add_panel_merging_values(const KernelTable& table, Results& results) {
  constexpr int64_t kCount = 3;
  constexpr int64_t kUnits = 5;
  constexpr int64_t kPanelStride = 7 * kPanelColumns;
  const auto factors = random_floats(kCount * kPanelColumns, 2);
  for (const auto precision : {Precision::kFloat32, Precision::kBFloat16, Precision::kInt8}) {
    const bool is_int8 = precision == Precision::kInt8;
    const auto panels = random_panels(precision, kCount * kPanelStride);
    Units out(static_cast<size_t>((is_int8 ? 2 : 1) * kUnits * kPanelColumns));
    table.merge_panels({.precision = precision,
                        .panels = panels.data(),
                        .stride = kPanelStride,
                        .count = kCount,
                        .units = kUnits,
                        .factors = factors.data()},
                       out.data());
    results.add("merge_panels " + enum_name(precision),
                values_of(is_int8 ? Precision::kBFloat16 : precision, out));
  }
}

}  // namespace softmoe::kernels::values
