#include "inference/packed/can_pack.h"

#include <algorithm>
#include <cmath>

#include "kernels/level.h"
#include "softmoe/routers.h"

namespace softmoe {
namespace {

/// Maximum scale of the logits of slots for which powers of all logits can be added without taking
/// off a maximum first.
constexpr double kMaxScale = 80.0;

/// Returns true if the layers of a router that mixes tokens can be packed.
bool can_pack_mixing(const NamedTensors& weights) {
  return std::all_of(weights.begin(), weights.end(), [](const auto& item) {
    return !item.first.ends_with("moe.router.scale") ||
           std::abs(item.second.template item<double>()) <= kMaxScale;
  });
}

}  // namespace

bool can_pack(const VitOptions& options, const NamedTensors& weights, Precision precision) {
  if (precision == Precision::kFloat16 || precision == Precision::kFloat64) {
    return false;
  }
  // Without fast kernels, libtorch's operators are faster in fp32, and in fp32 alone.
  if (precision == Precision::kFloat32 && !kernels::has(kernels::Need::kFp32)) {
    return false;
  }
  if (has_moe(options) && options.moe.dispatch_dtype != Precision::kFloat32 &&
      precision == Precision::kFloat32) {
    return false;
  }
  // Pairs of bf16 do not reach from one head or row into the next.
  const bool even =
      options.dim % 2 == 0 && options.mlp_dim % 2 == 0 && options.dim / options.heads % 2 == 0;
  const bool mixes = has_moe(options) && router_row(options.moe.router).mixing.has_value();
  return even && (!mixes || can_pack_mixing(weights));
}

}  // namespace softmoe
