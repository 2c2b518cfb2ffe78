#include "onnx/onnx_sparse_moe.h"

#include <ATen/Functions.h>

#include "onnx/onnx_buffers.h"
#include "onnx/onnx_codes.h"

namespace softmoe {
namespace {

int64_t group_images(const OnnxMoeLayer& layer) { return layer.options.moe.sparse.group_images; }

/// The router's logits in groups, [groups, tokens of a group, experts].
OnnxValue grouped_logits(const OnnxMoeLayer& layer, const OnnxValue& tokens,
                         const OnnxGroups& groups, int64_t images) {
  auto& weights = layer.context.weights;
  const auto name = layer.name + ".router.weight";
  const auto router = weights.tensor(name).to(torch::kFloat32).t();  // [dim, experts]
  const auto logits = layer.graph().node("MatMul", {tokens, weights.constant(name, router)});
  return images == 1 ? logits
                     : onnx_reshape(layer.graph(), logits, {-1, groups.tokens, layer.experts()});
}

OnnxValue gates_of_all(OnnxGraph& graph, const OnnxValue& logits, GateFunction function) {
  return function == GateFunction::kSigmoid ? graph.node("Sigmoid", {logits})
                                            : onnx_softmax(graph, logits, -1);
}

/// Fills expert, gate and priority as choose_experts() of softmoe/routers/tokens_choice.h does.
void choose(const OnnxMoeLayer& layer, const OnnxValue& logits, OnnxChoices& choices) {
  auto& graph = layer.graph();
  const auto& sparse = layer.options.moe.sparse;
  const bool softmax_after =
      sparse.gate_order == GateOrder::kAfter && sparse.gate_function == GateFunction::kSoftmax;
  const auto bias = layer.name + ".router.selection_bias";
  if (layer.context.weights.has(bias)) {
    const auto scores = gates_of_all(graph, logits, sparse.gate_function);
    const auto ranked = graph.node("Add", {scores, layer.context.weights.exact(bias)});
    choices.expert = onnx_top(graph, ranked, sparse.top_k).index;
    choices.gate = graph.node("GatherElements", {softmax_after ? logits : scores, choices.expert},
                              {{"axis", int64_t{2}}});
  } else {
    const auto scores = softmax_after ? logits : gates_of_all(graph, logits, sparse.gate_function);
    const auto top = onnx_top(graph, scores, sparse.top_k);
    choices.expert = top.index;
    choices.gate = top.values;
  }
  if (softmax_after) {
    choices.gate = onnx_softmax(graph, choices.gate, -1);
  }
  if (sparse.batch_priority) {
    choices.priority =
        onnx_reduce(graph, OnnxReduction::kMax, choices.gate, -1, /*keep_axis=*/false);
  }
  if (sparse.renormalize_gates) {
    const auto sum = onnx_reduce(graph, OnnxReduction::kSum, choices.gate, -1, /*keep_axis=*/true);
    choices.gate =
        graph.node("Div", {choices.gate, graph.node("Max", {sum, graph.scalar(1e-20F)})});
  }
}

/// Experts of tokens, [batch, tokens] int64, without gates or limits.
OnnxValue through_experts(const OnnxMoeLayer& layer, const OnnxValue& tokens,
                          const OnnxValue& expert) {
  auto& graph = layer.graph();
  OnnxChoices choices;
  choices.groups = onnx_groups(graph, onnx_batch(layer.context), layer.context.options.tokens(), 0);
  choices.expert = onnx_reshape(graph, expert, {1, -1, 1});  // [1, tokens of the batch, 1]
  return onnx_through_buffers(layer, tokens, choices, onnx_ample_buffers(layer, choices));
}

}  // namespace

OnnxValue onnx_tokens_choice(const OnnxMoeLayer& layer, const OnnxValue& tokens) {
  auto& graph = layer.graph();
  const auto& moe = layer.options.moe;
  const int64_t tokens_of_image = layer.context.options.tokens();
  OnnxChoices choices;
  choices.per_token = moe.sparse.top_k;
  choices.groups =
      onnx_groups(graph, onnx_batch(layer.context), tokens_of_image, group_images(layer));
  choose(layer, grouped_logits(layer, tokens, choices.groups, group_images(layer)), choices);
  constexpr int64_t kUsualMultiple = 4;  // that of TokensChoiceRouterImpl
  const CapacityRule rule{.requests_of_image = tokens_of_image * moe.sparse.top_k,
                          .experts = moe.experts,
                          .factor = capacity_factor(moe, /*training=*/false),
                          .rounding = capacity_rounding(moe.sparse, CapacityRounding::kUp),
                          .multiple = moe.sparse.capacity_multiple == 0
                                          ? kUsualMultiple
                                          : moe.sparse.capacity_multiple};
  const auto capacity = onnx_capacity(graph, rule, choices.groups.images);
  return onnx_through_buffers(layer, tokens, choices,
                              onnx_bounded_buffers(layer, choices, capacity));
}

OnnxValue onnx_best_expert(const OnnxMoeLayer& layer, const OnnxValue& tokens) {
  const auto logits = grouped_logits(layer, tokens, {}, /*images=*/1);  // [batch, tokens, experts]
  return through_experts(layer, tokens, onnx_top(layer.graph(), logits, 1).index);
}

OnnxValue onnx_experts_choice(const OnnxMoeLayer& layer, const OnnxValue& tokens) {
  auto& graph = layer.graph();
  const auto& moe = layer.options.moe;
  const int64_t experts = moe.experts;
  const int64_t dim = layer.options.dim;
  const int64_t tokens_of_image = layer.context.options.tokens();
  const int64_t images = std::max<int64_t>(1, group_images(layer));
  const auto groups = onnx_groups(graph, onnx_batch(layer.context), tokens_of_image, images);
  const CapacityRule rule{.requests_of_image = tokens_of_image,
                          .experts = experts,
                          .factor = capacity_factor(moe, /*training=*/false),
                          .rounding = capacity_rounding(moe.sparse, CapacityRounding::kNearest),
                          .multiple = moe.sparse.capacity_multiple};
  const auto capacity =
      onnx_minimum(graph, onnx_capacity(graph, rule, groups.images), groups.tokens);
  const auto gates = onnx_softmax(graph, grouped_logits(layer, tokens, groups, images), -1);
  const auto top = onnx_top(graph, onnx_transpose(graph, gates, {0, 2, 1}), capacity);
  // Rows of experts, group after group: [experts, groups, capacity].
  const auto first = graph.node(
      "Mul", {onnx_range(graph, groups.count), onnx_length(graph, groups.tokens)});  // [groups]
  const auto token = graph.node("Add", {top.index, onnx_reshape(graph, first, {-1, 1, 1})});
  const auto token_of_row =
      onnx_reshape(graph, onnx_transpose(graph, token, {1, 0, 2}), {experts, -1});
  const auto inputs = onnx_gather(graph, onnx_reshape(graph, tokens, {-1, dim}), token_of_row, 0);
  const auto by_expert = onnx_reshape(graph, onnx_experts_of_rows(layer, inputs),
                                      {experts, groups.count, capacity, dim});
  const auto outputs = onnx_reshape(graph, onnx_transpose(graph, by_expert, {1, 0, 2, 3}),
                                    {groups.count, onnx_multiply(graph, capacity, experts), dim});
  // A token may be in any number of rows: a product with the rows' gates sums over them.
  const auto in_row = onnx_cast(
      graph,
      graph.node("Equal", {onnx_reshape(graph, top.index, {0, 1, -1}),
                           onnx_reshape(graph, onnx_range(graph, groups.tokens), {1, -1, 1})}),
      OnnxType::kFloat);  // [groups, tokens, rows of the group]
  auto combine = graph.node("Mul", {in_row, onnx_reshape(graph, top.values, {0, 1, -1})});
  if (moe.sparse.renormalize_gates) {
    const auto sum = onnx_reduce(graph, OnnxReduction::kSum, combine, -1, /*keep_axis=*/true);
    combine = graph.node("Div", {combine, graph.node("Max", {sum, graph.scalar(1e-20F)})});
  }
  return onnx_reshape(graph, graph.node("MatMul", {combine, outputs}), {-1, tokens_of_image, dim});
}

OnnxValue onnx_content_moe(const OnnxMoeLayer& layer, const OnnxValue& tokens) {
  auto& graph = layer.graph();
  auto& weights = layer.context.weights;
  const auto& options = layer.context.options;
  const auto name = layer.name + ".router.expert_of_code";
  auto expert = onnx_gather(graph, weights.constant(name, weights.tensor(name)), onnx_codes(layer),
                            0);  // [batch, patches]
  const int64_t prefix = options.prefix_tokens();
  if (prefix > 0) {
    // Tokens without a patch are dealt out in turn.
    const auto of_prefix = at::cat({torch::arange(prefix).remainder(layer.experts()),
                                    torch::zeros({options.patches()}, torch::kInt64)});  // [tokens]
    expert =
        graph.node("Add", {graph.node("Pad", {expert, graph.ints({0, prefix, 0, 0})}),
                           weights.constant(layer.name + ".router.expert_of_prefix", of_prefix)});
  }
  return through_experts(layer, tokens, expert);
}

}  // namespace softmoe
