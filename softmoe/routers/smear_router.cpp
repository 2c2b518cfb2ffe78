#include "softmoe/routers/smear_router.h"

#include "core/tensor_check.h"
#include "ops/initialization.h"
#include "softmoe/routers/sparse_router.h"

namespace softmoe {

SmearRouterImpl::SmearRouterImpl(const MoeLayerOptions& options) : options_(options) {
  SmearRouterImpl::reset();
}

void SmearRouterImpl::reset() {
  weight = register_parameter("weight", torch::empty({options_.moe.experts, options_.dim}));
  init_lecun_normal(weight, options_.dim);
}

Routed SmearRouterImpl::route(const torch::Tensor& tokens, const TokenContext& /*context*/,
                              RoutingRecord* record) {
  check_shape("SmearRouter: tokens", tokens, {-1, -1, options_.dim});
  const auto dtype = tokens.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const auto mean = tokens.mean(/*dim=*/1, /*keepdim=*/true, dtype);  // [batch, 1, dim]
  const auto logits = router_logits(mean, weight).transpose(0, 1);    // [1, batch, experts]
  Routed routed;
  routed.merge_weights = logits.softmax(-1).squeeze(0);  // [batch, experts]
  if (record != nullptr && record->wants.scores) {
    record->scores.logits = logits;  // one group, whose decisions are the images'
  }
  if (record != nullptr && record->wants.load) {
    const auto share = routed.merge_weights.detach();  // [batch, experts]
    record->load.load = share.mean(0);                 // [experts]
    record->load.importance = record->load.load;
    record->load.dropped = share.new_zeros({});
    record->load.entropy = -(share * share.clamp_min(1e-30).log()).sum(-1).mean();  // []
  }
  return routed;
}

torch::Tensor SmearRouterImpl::combine(const Routed& /*routed*/,
                                       const torch::Tensor& /*expert_outputs*/) {
  TORCH_CHECK_VALUE(false, "SmearRouter: merged experts have no outputs to combine");
}

RouterCost smear_router_cost(const MoeLayerOptions& options) {
  const auto experts = static_cast<double>(options.moe.experts);
  const auto expert_parameters =
      static_cast<double>(2 * options.dim * options.hidden_dim + options.dim + options.hidden_dim);
  return {.parameters = options.dim * options.moe.experts,
          .multiply_adds = experts * (static_cast<double>(options.dim) + expert_parameters),
          .expert_rows = static_cast<double>(options.tokens)};
}

}  // namespace softmoe
