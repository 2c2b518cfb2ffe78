#include "ops/compute_precision.h"

#include "core/error.h"
#include "kernels/level.h"

namespace softmoe {

bool has_fast_bf16(const torch::Device& device) {
  if (!device.is_cpu()) {
    return true;
  }
  return kernels::has(kernels::Need::kBf16Products);
}

Precision fastest_precision(const torch::Device& device) {
  return has_fast_bf16(device) ? Precision::kBFloat16 : Precision::kFloat32;
}

Precision compute_precision(const std::string& name, const torch::Device& device) {
  if (name == "auto") {
    return fastest_precision(device);
  }
  const auto precision = parse_precision(name);
  if (has_8_bit_weights(precision)) {
    throw UsageError("dtype", "one of auto, float32, bfloat16, float16, float64", "'" + name + "'");
  }
  return precision;
}

torch::Dtype tensor_dtype(Precision precision) {
  switch (precision) {
    case Precision::kFloat32:
      return torch::kFloat32;
    case Precision::kFloat16:
      return torch::kFloat16;
    case Precision::kFloat64:
      return torch::kFloat64;
    default:
      return torch::kBFloat16;
  }
}

torch::Dtype product_dtype(Precision precision) {
  return precision == Precision::kInt8 ? torch::kInt8 : tensor_dtype(precision);
}

}  // namespace softmoe
