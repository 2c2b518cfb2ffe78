#include "ops/fused_ops.h"

#include <ATen/autocast_mode.h>

#include <atomic>

#include "kernels/types.h"

namespace softmoe {
namespace {

std::atomic<bool> enabled_flag{true};

}  // namespace

bool fused_ops_apply(const torch::Tensor& x) {
  return x.is_cpu() && enabled_flag && at::autocast::is_autocast_enabled(at::kCPU) &&
         at::autocast::get_autocast_dtype(at::kCPU) == at::kBFloat16 && kernels::supported();
}

bool set_fused_ops(bool enabled) { return enabled_flag.exchange(enabled); }

bool fused_ops_enabled() { return enabled_flag; }

}  // namespace softmoe
