#include "inference/packed/can_pack.h"

#include <algorithm>
#include <cmath>

#include "kernels/level.h"
#include "softmoe/router_scale.h"
#include "softmoe/routers.h"

namespace softmoe {
namespace {

/// Maximum scale of the logits of slots for which powers of all logits can be added without taking
/// off a maximum first.
constexpr double kMaxScale = 80.0;
/// Minimum scale of dispatch from whose logits those of combine, with another scale, are made.
constexpr double kMinDivisor = 1e-6;

/// Returns true if the layers of a router that mixes tokens can be packed.
bool can_pack_mixing(const MoeOptions& moe, const NamedTensors& weights) {
  return std::all_of(weights.begin(), weights.end(), [&moe](const auto& item) {
    const auto& [name, tensor] = item;
    const bool divides = name.ends_with("moe.router.scale") && moe.separate_scales;
    if (!name.ends_with("moe.router.scale") && !name.ends_with("moe.router.combine_scale")) {
      return true;
    }
    const double scale =
        std::abs(router_scale(tensor.detach().to(torch::kFloat64), moe).template item<double>());
    return scale <= kMaxScale && (!divides || scale > kMinDivisor);
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
  const bool even = options.dim % 2 == 0 && options.mlp_dim % 2 == 0 &&
                    options.moe.expert_dim % 2 == 0 && options.dim / options.heads % 2 == 0;
  const bool mixes = has_moe(options) && router_row(options.moe.router).mixing.has_value();
  return even && (!mixes || can_pack_mixing(options.moe, weights));
}

}  // namespace softmoe
