#include "softmoe/routers/sparse_router.h"

#include "core/tensor_check.h"
#include "ops/linear.h"

namespace softmoe {

Routed SparseRouter::route(const torch::Tensor& tokens, const TokenContext& context,
                           RoutingRecord* record) {
  auto routed = decide(tokens, context, record);
  routed.expert_inputs = gather_rows(tokens, routed.rows);  // [experts, rows, dim]
  return routed;
}

torch::Tensor SparseRouter::combine(const Routed& routed, const torch::Tensor& expert_outputs) {
  const auto outputs = scatter_rows(expert_outputs, routed.rows);  // [batch, tokens, dim]
  return routed.passthrough.defined() ? outputs + routed.passthrough.to(outputs.dtype()) : outputs;
}

torch::Tensor router_logits(const torch::Tensor& tokens, const torch::Tensor& weight) {
  check_shape("router_logits: tokens", tokens, {-1, -1, weight.size(1)});
  return exact_linear(tokens, weight);  // [batch, tokens, experts]
}

torch::Tensor as_groups(const torch::Tensor& x, int64_t group_images) {
  const int64_t batch = x.size(0);
  const int64_t images = group_images == 0 || batch % group_images != 0 ? batch : group_images;
  auto shape = x.sizes().vec();
  shape[0] = batch / images;
  shape[1] *= images;
  return x.reshape(shape);
}

Routed decide_by_expert(const torch::Tensor& expert, int64_t experts, RoutingRecord* record) {
  Routed routed;
  routed.rows = rows_of_experts(expert, /*gate=*/{}, experts);
  if (record != nullptr) {
    record_rows(*record, routed.rows, /*probabilities=*/{});
  }
  return routed;
}

RouterCost linear_router_cost(const MoeLayerOptions& options, double choices) {
  const auto weights = options.dim * options.moe.experts;
  const auto tokens = static_cast<double>(options.tokens);
  return {.parameters = weights,
          .multiply_adds = tokens * static_cast<double>(weights),
          .expert_rows = tokens * choices};
}

}  // namespace softmoe
