#include "inference/modules/module_precision.h"

#include "core/error.h"

namespace softmoe {

void check_module_precision(Precision precision) {
  if (precision != Precision::kFloat32 && precision != Precision::kBFloat16) {
    throw UsageError("dtype", "float32 or bfloat16 for this model on this device",
                     enum_name(precision));
  }
}

}  // namespace softmoe
