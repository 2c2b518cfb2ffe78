#include "softmoe/moe_layer.h"

#include <utility>

#include "core/tensor_check.h"
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

/// Fills in what soft routing makes of the experts' inputs and outputs, [experts, rows, dim].
void note_similarity(RoutingRecord* record, const torch::Tensor& inputs,
                     const torch::Tensor& outputs, int64_t batch) {
  if (record != nullptr && record->load.mixing.dispatch_entropy.defined()) {
    const torch::NoGradGuard no_grad;
    record->load.mixing.input_similarity = slot_similarity(inputs, batch);
    record->load.mixing.output_similarity = slot_similarity(outputs, batch);
  }
}

/// A run of packed texts: their tokens, and the record of their routing.
struct TextRun {
  torch::Tensor tokens;  ///< [count, length, dim]
  RoutingRecord record;
};

std::vector<TextRun> runs_of(const torch::Tensor& tokens, const PackedSequences& texts,
                             const RoutingWants& wants) {
  std::vector<TextRun> runs;
  for (auto& run : split_runs(tokens, texts)) {
    runs.push_back({.tokens = std::move(run), .record = {.wants = wants}});
  }
  return runs;
}

/// Adds `share` of `part` to `sum`, unless it is undefined.
void add_share(torch::Tensor& sum, const torch::Tensor& part, double share) {
  if (part.defined()) {
    sum = sum.defined() ? sum + part * share : part * share;
  }
}

/// Fills `record` by the runs': logits of all tokens as one group, loads as means over tokens.
void join_records(RoutingRecord& record, const std::vector<TextRun>& runs, int64_t tokens) {
  std::vector<torch::Tensor> logits;
  record.load = {};
  auto& mixing = record.load.mixing;
  for (const auto& run : runs) {
    const auto& part = run.record;
    if (part.scores.logits.defined()) {
      logits.push_back(part.scores.logits.flatten(0, 1));  // [tokens, slots]
    }
    const double share =
        static_cast<double>(run.tokens.size(0) * run.tokens.size(1)) / static_cast<double>(tokens);
    add_share(record.load.load, part.load.load, share);
    add_share(record.load.importance, part.load.importance, share);
    add_share(record.load.dropped, part.load.dropped, share);
    add_share(record.load.entropy, part.load.entropy, share);
    for (const auto& [name, member] : kMixingFields) {
      add_share(mixing.*member, part.load.mixing.*member, share);
    }
  }
  if (!logits.empty()) {
    record.scores.logits = torch::cat(logits).unsqueeze(0);  // [1, tokens, slots]
  }
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

void MoeLayerImpl::share_experts(std::shared_ptr<const ExpertExchange> exchange, int64_t first,
                                 int64_t count) {
  TORCH_CHECK_VALUE(router_row(options_.moe.router).kind != RoutingKind::kMerged,
                    "MoeLayer: router ", options_.moe.router, " merges all experts");
  exchange_ = std::move(exchange);
  experts->keep(first, count);
}

torch::Tensor MoeLayerImpl::run_experts(const torch::Tensor& inputs, const SparseRows& rows) {
  if (exchange_ == nullptr) {
    return experts->forward(inputs);  // [experts, rows, dim]
  }
  const auto used = rows.token.defined() ? rows.token >= 0 : torch::Tensor();  // [experts, rows]
  return exchange_->run(inputs, used, is_training(), [this](const torch::Tensor& own) {
    return experts->forward(own);
  });  // [experts, rows, dim]
}

torch::Tensor MoeLayerImpl::forward(const torch::Tensor& tokens, const TokenContext& context,
                                    RoutingRecord* record) {
  const auto output = run(tokens, context, record);  // [batch, tokens, dim]
  return gamma.defined() ? output * gamma : output;
}

torch::Tensor MoeLayerImpl::run(const torch::Tensor& tokens, const TokenContext& context,
                                RoutingRecord* record) {
  if (context.sequences.empty()) {
    return forward_together(tokens, context, record);  // [batch, tokens, dim]
  }
  check_shape("MoeLayer: packed texts", tokens, {1, context.sequences.tokens(), options_.dim});
  const auto texts = router_row(options_.moe.router).texts;
  TORCH_CHECK_VALUE(texts != TextRouting::kNone, "MoeLayer: router ", options_.moe.router,
                    " takes no texts");
  return texts == TextRouting::kByText ? forward_by_text(tokens, context.sequences, record)
                                       : forward_together(tokens, context, record);
}

torch::Tensor MoeLayerImpl::forward_by_text(const torch::Tensor& tokens,
                                            const PackedSequences& texts, RoutingRecord* record) {
  auto runs = runs_of(tokens, texts, record != nullptr ? record->wants : RoutingWants{});
  std::vector<Routed> routed;
  std::vector<torch::Tensor> inputs;
  std::vector<int64_t> rows;
  std::vector<torch::Tensor> outputs;
  for (auto& run : runs) {
    const ProfilePart part("route");
    run.record.wants.weights = false;
    routed.push_back(
        router_.router->route(run.tokens, {}, record != nullptr ? &run.record : nullptr));
    if (routed.back().merge_weights.defined()) {
      outputs.push_back(experts->forward_merged(run.tokens, routed.back().merge_weights));
    } else {
      inputs.push_back(routed.back().expert_inputs);  // [experts, rows, dim]
      rows.push_back(inputs.back().size(1));
    }
  }
  if (!inputs.empty()) {
    const auto results = run_experts(torch::cat(inputs, 1), {}).split_with_sizes(rows, 1);
    for (size_t index = 0; index < runs.size(); ++index) {
      note_similarity(&runs[index].record, inputs[index], results[index],
                      runs[index].tokens.size(0));
      outputs.push_back(router_.router->combine(routed[index], results[index]));
    }
  }
  if (record != nullptr) {
    join_records(*record, runs, tokens.size(1));
  }
  return joined_runs(outputs);  // [1, tokens, dim]
}

torch::Tensor MoeLayerImpl::forward_together(const torch::Tensor& tokens,
                                             const TokenContext& context, RoutingRecord* record) {
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
    rows = run_experts(rows, routed.rows);  // [experts, rows, dim]
  }
  note_similarity(record, routed.expert_inputs, rows, tokens.size(0));
  const ProfilePart part("combine");
  return router_.router->combine(routed, rounds ? rounded_to_bf16(rows) : rows);
}

torch::Tensor MoeLayerImpl::forward(const torch::Tensor& tokens, RoutingRecord* record) {
  return forward(tokens, TokenContext{}, record);
}

}  // namespace softmoe
