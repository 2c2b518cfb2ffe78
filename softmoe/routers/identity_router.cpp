#include "softmoe/routers/identity_router.h"

#include "core/tensor_check.h"

namespace softmoe {

IdentityRouterImpl::IdentityRouterImpl(const MoeLayerOptions& options)
    : experts_(options.moe.experts),
      slots_per_expert_(slots_per_expert(options)),
      dim_(options.dim) {}

Routed IdentityRouterImpl::route(const torch::Tensor& tokens, const TokenContext& /*context*/,
                                 RoutingRecord* record) {
  check_shape("IdentityRouter: tokens, one per slot", tokens,
              {-1, experts_ * slots_per_expert_, dim_});
  if (record != nullptr && record->wants.load) {
    const auto share = torch::full({experts_}, 1.0 / static_cast<double>(experts_),
                                   tokens.options().dtype(torch::kFloat32));
    record->load = {.load = share,
                    .importance = share,
                    .dropped = share.new_zeros({}),
                    .entropy = share.new_zeros({})};
  }
  Routed routed;
  routed.expert_inputs = tokens.view({tokens.size(0), experts_, slots_per_expert_, dim_})
                             .transpose(0, 1)
                             .reshape({experts_, -1, dim_});  // [experts, rows, dim]
  return routed;
}

torch::Tensor IdentityRouterImpl::combine(const Routed& /*routed*/,
                                          const torch::Tensor& expert_outputs) {
  check_shape("IdentityRouter: expert outputs", expert_outputs, {experts_, -1, -1});
  const int64_t dim = expert_outputs.size(2);
  return expert_outputs.view({experts_, -1, slots_per_expert_, dim})
      .transpose(0, 1)
      .reshape({-1, experts_ * slots_per_expert_, dim});  // [batch, tokens, dim]
}

RouterCost identity_router_cost(const MoeLayerOptions& options) {
  const int64_t slots = options.moe.experts * slots_per_expert(options);
  return {.parameters = 0, .multiply_adds = 0.0, .expert_rows = static_cast<double>(slots)};
}

}  // namespace softmoe
