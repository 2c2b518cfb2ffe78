#include "onnx/onnx_buffers.h"

namespace softmoe {
namespace {

OnnxValue times(OnnxGraph& graph, const OnnxValue& a, const OnnxValue& b) {
  return graph.node("Mul", {a, b});
}

/// The row of each choice: how many choices of the same expert come before it, in the order of
/// choices, then of tokens (or of falling priority).
OnnxValue rows_of_choices(const OnnxMoeLayer& layer, const OnnxChoices& choices) {
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

/// The number of each choice's row among those of all experts, [groups, tokens, choices].
OnnxValue places_of(const OnnxMoeLayer& layer, const OnnxChoices& choices,
                    const OnnxBuffers& buffers, const OnnxLength& rows_of_expert) {
  auto& graph = layer.graph();
  const auto of_expert = times(graph, choices.expert, onnx_length(graph, rows_of_expert));
  const auto of_group = times(graph, onnx_range(graph, choices.groups.count),
                              onnx_length(graph, buffers.rows));  // [groups]
  const auto first = graph.node("Add", {of_expert, onnx_reshape(graph, of_group, {-1, 1, 1})});
  return graph.node("Add", {first, buffers.row});
}

/// The tokens of all rows, [experts, rows of an expert, dim]. `place` [pairs] is the row of each
/// pair of a token and a choice; pairs from `rows` on are dropped.
OnnxValue gathered_rows(const OnnxMoeLayer& layer, const OnnxValue& flat_tokens,
                        const OnnxValue& place, int64_t choices, const OnnxLength& rows,
                        bool drops) {
  auto& graph = layer.graph();
  const auto count = onnx_length_of(graph, flat_tokens, 0);
  auto token_of_pair = onnx_range(graph, count);  // [pairs]
  if (choices > 1) {
    const auto column = onnx_reshape(graph, token_of_pair, {-1, 1});
    token_of_pair =
        onnx_reshape(graph, graph.node("Tile", {column, graph.ints({1, choices})}), {-1});
  }
  auto size = onnx_length(graph, rows);
  if (drops) {
    size = graph.node("Add", {size, onnx_length_of(graph, place, 0)});
  }
  // Empty rows hold token 0; the outputs of experts for them are not read.
  const auto empty = graph.node("Expand", {graph.int_scalar(0), size});
  auto token_of_row =
      graph.node("ScatterElements", {empty, place, token_of_pair}, {{"axis", int64_t{0}}});
  if (drops) {
    token_of_row = graph.node("Slice", {token_of_row, graph.ints({0}), onnx_length(graph, rows)});
  }
  return onnx_gather(graph, flat_tokens, onnx_reshape(graph, token_of_row, {layer.experts(), -1}),
                     0);
}

/// The rows of pairs if buffers are bounded: pairs that find no room get places behind all rows,
/// each its own, as no two pairs may share one.
OnnxValue places_with_spares(OnnxGraph& graph, const OnnxValue& place, const OnnxValue& has_room,
                             const OnnxLength& rows) {
  const auto pairs = onnx_range(graph, onnx_length_of(graph, place, 0));
  const auto spare = graph.node("Add", {pairs, onnx_length(graph, rows)});
  return graph.node("Where", {has_room, place, spare});
}

}  // namespace

OnnxBuffers onnx_bounded_buffers(const OnnxMoeLayer& layer, const OnnxChoices& choices,
                                 const OnnxLength& capacity) {
  auto& graph = layer.graph();
  OnnxBuffers buffers;
  // An expert gets a token at most once.
  buffers.rows = onnx_minimum(graph, capacity, choices.groups.tokens);
  buffers.row = rows_of_choices(layer, choices);
  buffers.has_room = graph.node("Less", {buffers.row, onnx_length(graph, buffers.rows)});
  return buffers;
}

OnnxBuffers onnx_ample_buffers(const OnnxMoeLayer& layer, const OnnxChoices& choices) {
  auto& graph = layer.graph();
  OnnxBuffers buffers;
  buffers.row = rows_of_choices(layer, choices);
  const auto last = onnx_reduce(graph, OnnxReduction::kMax, onnx_reshape(graph, buffers.row, {-1}),
                                0, /*keep_axis=*/true);
  buffers.rows = graph.node("Add", {last, graph.ints({1})});
  return buffers;
}

OnnxValue onnx_through_buffers(const OnnxMoeLayer& layer, const OnnxValue& tokens,
                               const OnnxChoices& choices, const OnnxBuffers& buffers) {
  auto& graph = layer.graph();
  const int64_t dim = layer.options.dim;
  const auto rows_of_expert = onnx_multiply(graph, choices.groups.count, buffers.rows);
  const auto rows = onnx_multiply(graph, rows_of_expert, layer.experts());
  const auto flatten = [&](const OnnxValue& x) { return onnx_reshape(graph, x, {-1}); };
  const auto place = flatten(places_of(layer, choices, buffers, rows_of_expert));  // [pairs]
  const bool drops = !buffers.has_room.empty();
  const auto has_room = drops ? flatten(buffers.has_room) : "";
  const auto target = drops ? places_with_spares(graph, place, has_room, rows) : place;
  const auto inputs = gathered_rows(layer, onnx_reshape(graph, tokens, {-1, dim}), target,
                                    choices.per_token, rows, drops);
  const auto outputs = onnx_reshape(graph, onnx_experts_of_rows(layer, inputs), {-1, dim});
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

}  // namespace softmoe
