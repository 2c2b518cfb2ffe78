#include "softmoe/routers/random_router.h"

#include "core/tensor_check.h"
#include "softmoe/routers/hash_maps.h"

namespace softmoe {

RandomRouterImpl::RandomRouterImpl(const MoeLayerOptions& options) : options_(options) {
  RandomRouterImpl::reset();
}

void RandomRouterImpl::reset() {
  expert_of_position = register_buffer("expert_of_position",
                                       balanced_map(options_.tokens, options_.moe.experts,
                                                    options_.moe.sparse.hash_seed));  // [tokens]
}

Routed RandomRouterImpl::decide(const torch::Tensor& tokens, const TokenContext& /*context*/,
                                RoutingRecord* record) {
  check_shape("RandomRouter: tokens", tokens, {-1, options_.tokens, options_.dim});
  const int64_t batch = tokens.size(0);
  const int64_t experts = options_.moe.experts;
  const auto expert = is_training()
                          ? torch::randperm(batch * options_.tokens, expert_of_position.options())
                                .remainder(experts)
                                .view({batch, options_.tokens})
                          : expert_of_position.expand({batch, options_.tokens});  // [batch, tokens]
  return decide_by_expert(expert, experts, record);
}

}  // namespace softmoe
