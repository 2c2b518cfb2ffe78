#include "ops/fused/applies.h"

#include <ATen/autocast_mode.h>

#include "kernels/level.h"

namespace softmoe::fused {

bool applies(const torch::Tensor& x) {
  return x.is_cpu() && at::autocast::is_autocast_enabled(at::kCPU) &&
         at::autocast::get_autocast_dtype(at::kCPU) == at::kBFloat16 &&
         kernels::has(kernels::Need::kBf16Products);
}

}  // namespace softmoe::fused
