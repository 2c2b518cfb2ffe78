#include "softmoe/routers/identity_router.h"

#include "core/tensor_check.h"

namespace softmoe {

IdentityRouterImpl::IdentityRouterImpl(const MoeLayerOptions& options)
    : experts_(options.moe.experts),
      slots_per_expert_(slots_per_expert(options)),
      dim_(options.dim) {}

Routed IdentityRouterImpl::decide(const torch::Tensor& tokens, const TokenContext& /*context*/,
                                  RoutingRecord* record) {
  const int64_t batch = tokens.size(0);
  const int64_t slots = experts_ * slots_per_expert_;
  check_shape("IdentityRouter: tokens, one per slot", tokens, {-1, slots, dim_});
  if (record != nullptr && record->wants.load) {
    const auto share = torch::full({experts_}, 1.0 / static_cast<double>(experts_),
                                   tokens.options().dtype(torch::kFloat32));
    record->load = {.load = share,
                    .importance = share,
                    .dropped = share.new_zeros({}),
                    .entropy = share.new_zeros({})};
  }
  Routed routed;
  routed.rows = {.token = torch::arange(batch * slots, tokens.options().dtype(torch::kInt64))
                              .view({batch, experts_, slots_per_expert_})
                              .transpose(0, 1)
                              .reshape({experts_, batch * slots_per_expert_}),  // [experts, rows]
                 .gate = {},
                 .batch = batch,
                 .tokens = slots};
  return routed;
}

RouterCost identity_router_cost(const MoeLayerOptions& options) {
  const int64_t slots = options.moe.experts * slots_per_expert(options);
  return {.parameters = 0, .multiply_adds = 0.0, .expert_rows = static_cast<double>(slots)};
}

}  // namespace softmoe
