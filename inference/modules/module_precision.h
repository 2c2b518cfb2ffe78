#pragma once
/// The precisions that modules compute in.

#include "core/precision.h"

namespace softmoe {

/// Throws UsageError for other precisions than kFloat32 and kBFloat16.
void check_module_precision(Precision precision);

}  // namespace softmoe
