#include "ops/fused/applies.h"

#include <ATen/autocast_mode.h>

#include "kernels/level.h"

namespace softmoe::fused {
namespace {

/// What the mode of this thread asks of products with `x`, if fp32 or bf16.
std::optional<Precision> wanted_precision(const torch::Tensor& x) {
  if (!at::autocast::is_autocast_enabled(at::kCPU)) {
    return x.scalar_type() == torch::kFloat32 ? std::optional(Precision::kFloat32) : std::nullopt;
  }
  return at::autocast::get_autocast_dtype(at::kCPU) == at::kBFloat16
             ? std::optional(Precision::kBFloat16)
             : std::nullopt;
}

}  // namespace

std::optional<Precision> precision_of(const torch::Tensor& x) {
  if (!x.is_cpu() || x.numel() == 0) {
    return std::nullopt;
  }
  const auto wanted = wanted_precision(x);
  return wanted && kernels::has(kernels::need_of(*wanted)) ? wanted : std::nullopt;
}

}  // namespace softmoe::fused
