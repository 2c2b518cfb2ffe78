#include "softmoe/routers/base_router.h"

#include <algorithm>

#include "core/tensor_check.h"
#include "ops/initialization.h"
#include "softmoe/assignment/auction.h"

namespace softmoe {

torch::Tensor balanced_experts(const torch::Tensor& scores) {
  check_shape("balanced_experts: scores", scores, {-1, -1, -1});
  const auto plain = scores.detach().to(torch::kCPU, torch::kFloat32).contiguous();
  const int64_t groups = plain.size(0);
  const int64_t tokens = plain.size(1);
  const int64_t experts = plain.size(2);
  const auto result = torch::empty({groups, tokens}, torch::kInt64);
  for (int64_t group = 0; group < groups; ++group) {
    const float* values = plain.const_data_ptr<float>() + group * tokens * experts;
    const auto expert_of =
        balanced_assignment({.values = {values, static_cast<size_t>(tokens * experts)},
                             .tokens = tokens,
                             .experts = experts});
    std::copy(expert_of.begin(), expert_of.end(),
              result.mutable_data_ptr<int64_t>() + group * tokens);
  }
  return result.to(scores.device());  // [groups, tokens]
}

BaseRouterImpl::BaseRouterImpl(const MoeLayerOptions& options) : options_(options) {
  BaseRouterImpl::reset();
}

void BaseRouterImpl::reset() {
  weight = register_parameter("weight", torch::empty({options_.moe.experts, options_.dim}));
  init_orthogonal(weight, /*gain=*/0.1);
}

Routed BaseRouterImpl::decide(const torch::Tensor& tokens, const TokenContext& /*context*/,
                              RoutingRecord* record) {
  const auto logits = router_logits(tokens, weight);  // [batch, tokens, experts]
  const auto groups = as_groups(logits, options_.moe.sparse.group_images);
  const auto expert = (is_training() ? balanced_experts(groups) : groups.detach().argmax(-1))
                          .view({tokens.size(0), tokens.size(1)});     // [batch, tokens]
  const auto share = logits.gather(2, expert.unsqueeze(2)).sigmoid();  // [batch, tokens, 1]
  Routed routed;
  routed.rows = rows_of_experts(expert, share.squeeze(2), options_.moe.experts);
  routed.passthrough = (1.0 - share).to(tokens.dtype()) * tokens;  // [batch, tokens, dim]
  if (record != nullptr) {
    if (record->wants.scores) {
      record->scores.logits = groups;
    }
    record_rows(*record, routed.rows, logits.detach().flatten(0, 1).softmax(-1));
  }
  return routed;
}

RouterCost base_router_cost(const MoeLayerOptions& options) {
  return linear_router_cost(options, /*choices=*/1.0);
}

}  // namespace softmoe
