#include "softmoe/moe_layer.h"

#include "ops/initialization.h"
#include "runtime/profiler.h"
#include "softmoe/mixing_state.h"
#include "softmoe/routers.h"

namespace softmoe {
namespace {

/// `x` rounded to bf16 and back; its gradient is rounded, too.
torch::Tensor rounded_to_bf16(const torch::Tensor& x) {
  return x.to(torch::kBFloat16).to(x.scalar_type());
}

}  // namespace

MoeLayerImpl::MoeLayerImpl(const MoeLayerOptions& options) : options_(options) {
  MoeLayerImpl::reset();
}

void MoeLayerImpl::reset() {
  router_ = make_router(options_);
  register_module("router", router_.module);
  experts = register_module("experts", Experts(options_));
  if (options_.moe.moe_layer_scale > 0) {
    gamma = register_parameter("gamma", torch::empty({options_.dim}));
    init_constant(gamma, options_.moe.moe_layer_scale);
  }
}

torch::Tensor MoeLayerImpl::forward(const torch::Tensor& tokens, const TokenContext& context,
                                    RoutingRecord* record) {
  const auto output = run(tokens, context, record);  // [batch, tokens, dim]
  return gamma.defined() ? output * gamma : output;
}

torch::Tensor MoeLayerImpl::run(const torch::Tensor& tokens, const TokenContext& context,
                                RoutingRecord* record) {
  const auto routed = [&] {
    const ProfilePart part("route");
    return router_.router->route(tokens, context, record);
  }();
  if (routed.merge_weights.defined()) {
    return experts->forward_merged(tokens, routed.merge_weights);  // [batch, tokens, dim]
  }
  // Routers that mix round before they sum.
  const bool rounds = options_.moe.dispatch_dtype == Precision::kBFloat16 &&
                      !router_row(options_.moe.router).mixing.has_value();
  auto rows = rounds ? rounded_to_bf16(routed.expert_inputs)
                     : routed.expert_inputs;  // [experts, rows, dim]
  {
    const ProfilePart part("experts");
    rows = experts->forward(rows);  // [experts, rows, dim]
  }
  if (record != nullptr && record->load.mixing.dispatch_entropy.defined()) {
    const torch::NoGradGuard no_grad;
    record->load.mixing.input_similarity = slot_similarity(routed.expert_inputs, tokens.size(0));
    record->load.mixing.output_similarity = slot_similarity(rows, tokens.size(0));
  }
  const ProfilePart part("combine");
  return router_.router->combine(routed, rounds ? rounded_to_bf16(rows) : rows);
}

torch::Tensor MoeLayerImpl::forward(const torch::Tensor& tokens, RoutingRecord* record) {
  return forward(tokens, TokenContext{}, record);
}

}  // namespace softmoe
