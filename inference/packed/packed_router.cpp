#include "inference/packed/packed_router.h"

#include "checkpoints/load_into.h"
#include "ops/initialization.h"
#include "runtime/autocast_guard.h"
#include "softmoe/routers.h"

namespace softmoe {

Routed PackedRouter::decide(const torch::Tensor& tokens, const TokenContext& context) const {
  const AutocastGuard exact(torch::kCPU, torch::kFloat32);
  return handle.router->decide(tokens, context, /*record=*/nullptr);
}

PackedRouter pack_router(const MoeLayerOptions& options, const NamedTensors& weights,
                         const std::string& where) {
  const SkipInitialization skip;
  PackedRouter packed{.handle = make_router(options),
                      .merges = router_row(options.moe.router).kind == RoutingKind::kMerged};
  auto& module = *packed.handle.module;
  module.to(torch::kFloat32);
  load_into(module, weights, where);
  for (auto& parameter : module.parameters()) {
    parameter.set_requires_grad(false);
  }
  module.eval();
  return packed;
}

}  // namespace softmoe
