#include <ATen/Functions.h>

#include "core/error.h"
#include "inference/onnx_capacity.h"
#include "inference/onnx_experts.h"
#include "softmoe/hash_maps.h"

namespace softmoe {
namespace {

/// Which experts tokens ask for, [groups, tokens of a group, choices], in the order of preference.
struct Choices {
  OnnxGroups groups;
  int64_t per_token = 1;
  OnnxValue expert;    ///< int64
  OnnxValue gate;      ///< fp32, or empty: 1
  OnnxValue priority;  ///< [groups, tokens of a group], or empty: buffers fill in token order
};

/// Buffers of `rows` rows for each group and expert.
struct Buffers {
  OnnxLength rows = 0;
  OnnxValue row;       ///< [groups, tokens of a group, choices] int64: of each choice
  OnnxValue has_room;  ///< the same, bool; empty: all have
};

int64_t group_images(const OnnxMoeLayer& layer) { return layer.options.moe.sparse.group_images; }

OnnxValue times(OnnxGraph& graph, const OnnxValue& a, const OnnxValue& b) {
  return graph.node("Mul", {a, b});
}

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

/// Rows in the order of choices, then of tokens (or of falling priority): how many came before.
OnnxValue rows_of_choices(const OnnxMoeLayer& layer, const Choices& choices) {
  auto& graph = layer.graph();
  auto expert = onnx_transpose(graph, choices.expert, {0, 2, 1});  // [groups, choices, tokens]
  OnnxValue order;
  if (!choices.priority.empty()) {
    const auto first = onnx_top(graph, choices.priority, choices.groups.tokens).index;
    order = graph.node("Tile",
                       {onnx_unsqueeze(graph, first, {1}), graph.ints({1, choices.per_token, 1})});
    expert = graph.node("GatherElements", {expert, order}, {{"axis", int64_t{2}}});
  }
  const auto queue = onnx_reshape(graph, expert, {0, -1, 1});  // [groups, pairs, 1]
  const auto asks =
      onnx_cast(graph, graph.node("Equal", {queue, onnx_range(graph, layer.experts())}),
                OnnxType::kInt64);  // [groups, pairs, experts]
  const auto asked = graph.node("CumSum", {asks, graph.int_scalar(1)});
  const auto place = onnx_reduce(graph, OnnxReduction::kSum, times(graph, asks, asked), -1,
                                 /*keep_axis=*/false);  // [groups, pairs], counted from 1
  auto row = onnx_reshape(graph, graph.node("Sub", {place, graph.int_scalar(1)}),
                          {0, choices.per_token, choices.groups.tokens});
  if (!order.empty()) {
    row = graph.node("ScatterElements", {row, order, row}, {{"axis", int64_t{2}}});
  }
  return onnx_transpose(graph, row, {0, 2, 1});  // [groups, tokens, choices]
}

/// Buffers of `capacity` rows; what finds no room is dropped.
Buffers bounded_buffers(const OnnxMoeLayer& layer, const Choices& choices,
                        const OnnxLength& capacity) {
  auto& graph = layer.graph();
  Buffers buffers;
  // An expert gets a token once at most.
  buffers.rows = onnx_minimum(graph, capacity, choices.groups.tokens);
  buffers.row = rows_of_choices(layer, choices);
  buffers.has_room = graph.node("Less", {buffers.row, onnx_length(graph, buffers.rows)});
  return buffers;
}

/// Buffers as large as the fullest expert needs.
Buffers ample_buffers(const OnnxMoeLayer& layer, const Choices& choices) {
  auto& graph = layer.graph();
  Buffers buffers;
  buffers.row = rows_of_choices(layer, choices);
  const auto last = onnx_reduce(graph, OnnxReduction::kMax, onnx_reshape(graph, buffers.row, {-1}),
                                0, /*keep_axis=*/true);
  buffers.rows = graph.node("Add", {last, graph.ints({1})});
  return buffers;
}

/// The number of each choice's row among those of all experts, [groups, tokens, choices].
OnnxValue places_of(const OnnxMoeLayer& layer, const Choices& choices, const Buffers& buffers,
                    const OnnxLength& rows_of_expert) {
  auto& graph = layer.graph();
  const auto of_expert = times(graph, choices.expert, onnx_length(graph, rows_of_expert));
  const auto of_group = times(graph, onnx_range(graph, choices.groups.count),
                              onnx_length(graph, buffers.rows));  // [groups]
  const auto first = graph.node("Add", {of_expert, onnx_reshape(graph, of_group, {-1, 1, 1})});
  return graph.node("Add", {first, buffers.row});
}

/// The tokens of all rows, [experts, rows of an expert, dim]; `place` [pairs], `rows` of all.
OnnxValue gathered_rows(const OnnxMoeLayer& layer, const OnnxValue& flat_tokens,
                        const OnnxValue& place, int64_t choices, const OnnxLength& rows) {
  auto& graph = layer.graph();
  const auto count = onnx_length_of(graph, flat_tokens, 0);
  const auto numbers = onnx_reshape(graph, onnx_range(graph, count), {-1, 1});
  const auto token_of_pair = onnx_reshape(
      graph, graph.node("Tile", {numbers, graph.ints({1, choices})}), {-1});  // [pairs]
  // One spare row behind the others for what is dropped. Empty rows hold token 0: nobody reads what
  // experts make of it.
  const auto size = graph.node("Add", {onnx_length(graph, rows), graph.ints({1})});
  const auto empty = graph.node("Expand", {graph.int_scalar(0), size});
  const auto token_of_row =
      graph.node("ScatterElements", {empty, place, token_of_pair}, {{"axis", int64_t{0}}});
  const auto kept = onnx_reshape(graph, onnx_slice(graph, token_of_row, 0, 0, -1),
                                 {layer.experts(), -1});  // [experts, rows]
  return onnx_gather(graph, flat_tokens, kept, 0);
}

/// `tokens` [batch, tokens, dim] through the experts in whose buffers they are.
OnnxValue through_buffers(const OnnxMoeLayer& layer, const OnnxValue& tokens,
                          const Choices& choices, const Buffers& buffers) {
  auto& graph = layer.graph();
  const int64_t dim = layer.options.dim;
  const auto rows_of_expert = onnx_multiply(graph, choices.groups.count, buffers.rows);
  const auto rows = onnx_multiply(graph, rows_of_expert, layer.experts());
  const auto flatten = [&](const OnnxValue& x) { return onnx_reshape(graph, x, {-1}); };
  const auto place = flatten(places_of(layer, choices, buffers, rows_of_expert));  // [pairs]
  const bool drops = !buffers.has_room.empty();
  const auto has_room = drops ? flatten(buffers.has_room) : "";
  const auto with_spare =
      drops ? graph.node("Where", {has_room, place, onnx_length(graph, rows)}) : place;
  const auto inputs = gathered_rows(layer, onnx_reshape(graph, tokens, {-1, dim}), with_spare,
                                    choices.per_token, rows);
  const auto outputs = onnx_reshape(graph, onnx_experts(layer, inputs), {-1, dim});
  const auto in_reach = drops ? graph.node("Where", {has_room, place, graph.ints({0})}) : place;
  auto taken = onnx_gather(graph, outputs, in_reach, 0);  // [pairs, dim]
  OnnxValue factor = choices.gate.empty() ? "" : flatten(choices.gate);
  if (drops) {
    const auto kept = onnx_cast(graph, has_room, OnnxType::kFloat);
    factor = factor.empty() ? kept : times(graph, factor, kept);
  }
  if (!factor.empty()) {
    taken = times(graph, taken, onnx_unsqueeze(graph, factor, {1}));
  }
  if (choices.per_token > 1) {
    const auto apart = onnx_reshape(graph, taken, {-1, choices.per_token, dim});
    taken = onnx_reduce(graph, OnnxReduction::kSum, apart, 1, /*keep_axis=*/false);
  }
  return onnx_reshape(graph, taken, {-1, layer.context.options.tokens(), dim});
}

OnnxValue gates_of_all(OnnxGraph& graph, const OnnxValue& logits, GateFunction function) {
  return function == GateFunction::kSigmoid ? graph.node("Sigmoid", {logits})
                                            : onnx_softmax(graph, logits, -1);
}

/// Fills expert, gate and priority as choose_experts() of softmoe/tokens_choice.h does.
void choose(const OnnxMoeLayer& layer, const OnnxValue& logits, Choices& choices) {
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
  Choices choices;
  choices.groups = onnx_groups(graph, onnx_batch(layer.context), layer.context.options.tokens(), 0);
  choices.expert = onnx_reshape(graph, expert, {1, -1, 1});  // [1, tokens of the batch, 1]
  return through_buffers(layer, tokens, choices, ample_buffers(layer, choices));
}

}  // namespace

OnnxValue onnx_tokens_choice(const OnnxMoeLayer& layer, const OnnxValue& tokens) {
  auto& graph = layer.graph();
  const auto& moe = layer.options.moe;
  const int64_t tokens_of_image = layer.context.options.tokens();
  Choices choices;
  choices.per_token = moe.sparse.top_k;
  choices.groups =
      onnx_groups(graph, onnx_batch(layer.context), tokens_of_image, group_images(layer));
  choose(layer, grouped_logits(layer, tokens, choices.groups, group_images(layer)), choices);
  constexpr int64_t kUsualMultiple = 4;  // that of TokensChoiceRouterImpl
  const CapacityRule rule{.requests_of_image = tokens_of_image * moe.sparse.top_k,
                          .experts = moe.experts,
                          .factor = capacity_factor(moe, /*training=*/false),
                          .rounding = CapacityRounding::kUp,
                          .multiple = moe.sparse.capacity_multiple == 0
                                          ? kUsualMultiple
                                          : moe.sparse.capacity_multiple};
  const auto capacity = onnx_capacity(graph, rule, choices.groups.images);
  return through_buffers(layer, tokens, choices, bounded_buffers(layer, choices, capacity));
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
                          .rounding = CapacityRounding::kHalfEven,
                          .multiple = moe.sparse.capacity_multiple};
  const auto capacity =
      onnx_minimum(graph, onnx_capacity(graph, rule, groups.images), groups.tokens);
  const auto gates = onnx_softmax(graph, grouped_logits(layer, tokens, groups, images), -1);
  const auto top = onnx_top(graph, onnx_transpose(graph, gates, {0, 2, 1}), capacity);
  // Rows of experts, group after group: [experts, groups, capacity].
  const auto first =
      times(graph, onnx_range(graph, groups.count), onnx_length(graph, groups.tokens));  // [groups]
  const auto token = graph.node("Add", {top.index, onnx_reshape(graph, first, {-1, 1, 1})});
  const auto token_of_row =
      onnx_reshape(graph, onnx_transpose(graph, token, {1, 0, 2}), {experts, -1});
  const auto inputs = onnx_gather(graph, onnx_reshape(graph, tokens, {-1, dim}), token_of_row, 0);
  const auto by_expert =
      onnx_reshape(graph, onnx_experts(layer, inputs), {experts, groups.count, capacity, dim});
  const auto outputs = onnx_reshape(graph, onnx_transpose(graph, by_expert, {1, 0, 2, 3}),
                                    {groups.count, onnx_multiply(graph, capacity, experts), dim});
  // A token may be in any number of rows: a product with the rows' gates sums over them.
  const auto in_row = onnx_cast(
      graph,
      graph.node("Equal", {onnx_reshape(graph, top.index, {0, 1, -1}),
                           onnx_reshape(graph, onnx_range(graph, groups.tokens), {1, -1, 1})}),
      OnnxType::kFloat);  // [groups, tokens, rows of the group]
  auto combine = times(graph, in_row, onnx_reshape(graph, top.values, {0, 1, -1}));
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
