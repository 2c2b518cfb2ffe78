#pragma once
/// Right factors of packed_product.h that are mixtures of others: experts whose parameters are
/// merged.

#include <cstdint>

#include "kernels/units.h"

namespace softmoe::kernels {

/// Panels [units, 32] of one precision, `stride` units apart.
struct PanelMixture {
  Precision precision;
  const Unit* panels;
  int64_t stride;
  int64_t count;         ///< of the panels
  int64_t units;         ///< of a panel
  const float* factors;  ///< [count, 32]: of each column of each panel
};

struct MergeKernels {
  /// The sum of the panels' values times their factors, fp32 if theirs is fp32, bf16 if it is bf16
  /// or kInt8: `out` [units, 32], for kInt8 [2 units, 32].
  void (*merge_panels)(const PanelMixture& mixture, Unit* out);
};

}  // namespace softmoe::kernels
