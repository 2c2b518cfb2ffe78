#include "softmoe/routers/position_hash_router.h"

#include "core/tensor_check.h"
#include "softmoe/routers/hash_maps.h"

namespace softmoe {

PositionHashRouterImpl::PositionHashRouterImpl(const MoeLayerOptions& options, PositionRule rule)
    : options_(options), rule_(rule) {
  PositionHashRouterImpl::reset();
}

void PositionHashRouterImpl::reset() {
  const auto map = [this]() -> torch::Tensor {
    switch (rule_) {
      case PositionRule::kBlock:
        return block_map(options_.tokens, options_.moe.experts);
      case PositionRule::kModulo:
        return modulo_map(options_.tokens, options_.moe.experts);
      default:
        return balanced_map(options_.tokens, options_.moe.experts, options_.moe.sparse.hash_seed);
    }
  };
  expert_of_position = register_buffer("expert_of_position", map());  // [tokens]
}

Routed PositionHashRouterImpl::decide(const torch::Tensor& tokens, const TokenContext& /*context*/,
                                      RoutingRecord* record) {
  check_shape("PositionHashRouter: tokens", tokens, {-1, options_.tokens, options_.dim});
  const auto expert =
      expert_of_position.expand({tokens.size(0), options_.tokens});  // [batch, tokens]
  return decide_by_expert(expert, options_.moe.experts, record);
}

RouterCost position_router_cost(const MoeLayerOptions& options) {
  return {
      .parameters = 0, .multiply_adds = 0.0, .expert_rows = static_cast<double>(options.tokens)};
}

}  // namespace softmoe
