#include "onnx/onnx_soft_moe.h"

#include <ATen/Functions.h>

#include "ops/soft_routing.h"
#include "softmoe/router_scale.h"

namespace softmoe {
namespace {

/// Logits of dispatch: cosine similarities of tokens and slots times the scale,
/// [batch, tokens, slots].
OnnxValue soft_logits_of(const OnnxMoeLayer& layer, const OnnxValue& tokens) {
  auto& graph = layer.graph();
  auto& weights = layer.context.weights;
  const double eps = layer.options.moe.router_eps;
  const auto fp32 = [&](const char* name) {
    return weights.tensor(layer.name + ".router." + name).to(torch::kFloat32);
  };
  const auto scale = router_scale(fp32("scale"), layer.options.moe);
  const auto keys = soft_keys(fp32("phi").flatten(1), scale, eps);
  const auto similarities =
      graph.node("MatMul", {tokens, weights.constant(layer.name + ".router.keys", keys)});
  const auto squares =
      onnx_reduce(graph, OnnxReduction::kSumOfSquares, tokens, -1, /*keep_axis=*/true);
  const auto norm =
      graph.node("Sqrt", {graph.node("Add", {squares, graph.scalar(static_cast<float>(eps))})});
  return graph.node("Div", {similarities, norm});
}

/// 1.5-entmax of `logits` [batch, tokens, slots] along the slots, as ops/entmax.cpp computes it.
OnnxValue onnx_entmax15(OnnxGraph& graph, const OnnxValue& logits, int64_t slots) {
  const auto number = [&](float value) { return graph.scalar(value); };
  const auto largest = onnx_reduce(graph, OnnxReduction::kMax, logits, -1, /*keep_axis=*/true);
  const auto halves = graph.node("Mul", {graph.node("Sub", {logits, largest}), number(0.5F)});
  const auto sorted = onnx_top(graph, halves, slots).values;
  const auto size = onnx_cast(graph, graph.node("Add", {onnx_range(graph, slots), graph.ints({1})}),
                              OnnxType::kFloat);  // [slots]
  const auto mean_of = [&](const OnnxValue& x) {
    return graph.node("Div", {graph.node("CumSum", {x, graph.int_scalar(2)}), size});
  };
  const auto square = [&](const OnnxValue& x) { return graph.node("Mul", {x, x}); };
  const auto mean = mean_of(sorted);
  const auto variance = graph.node("Sub", {mean_of(square(sorted)), square(mean)});
  const auto rest = graph.node("Sub", {graph.node("Div", {number(1.0F), size}), variance});
  const auto thresholds =
      graph.node("Sub", {mean, graph.node("Sqrt", {graph.node("Relu", {rest})})});
  const auto is_above =
      onnx_cast(graph, graph.node("LessOrEqual", {thresholds, sorted}), OnnxType::kInt64);
  const auto support = onnx_reduce(graph, OnnxReduction::kSum, is_above, -1, /*keep_axis=*/true);
  const auto last = graph.node("Sub", {support, graph.ints({1})});  // [batch, tokens, 1]
  const auto threshold = graph.node("GatherElements", {thresholds, last}, {{"axis", int64_t{2}}});
  return square(graph.node("Relu", {graph.node("Sub", {halves, threshold})}));
}

/// The weights of slots in tokens, [batch, tokens, slots], from the logits of dispatch.
OnnxValue combine_weights(const OnnxMoeLayer& layer, OnnxValue logits, int64_t slots) {
  auto& graph = layer.graph();
  auto& weights = layer.context.weights;
  const auto& moe = layer.options.moe;
  const auto parameter = layer.name + ".router.combine_scale";
  if (weights.has(parameter)) {
    const auto scale_of = [&](const std::string& name) {
      return router_scale(weights.tensor(name).to(torch::kFloat32), moe);
    };
    const auto ratio = scale_of(parameter) / scale_of(layer.name + ".router.scale");
    logits = graph.node("Mul", {logits, weights.constant(parameter, ratio)});
  }
  return moe.combine == CombineWeights::kEntmax15 ? onnx_entmax15(graph, logits, slots)
                                                  : onnx_softmax(graph, logits, -1);
}

/// `logits` [batch, tokens, slots] with those of padding so small that it has no weight.
OnnxValue without_padding(const OnnxMoeLayer& layer, const OnnxValue& logits) {
  const auto& is_token = layer.context.is_token;
  if (is_token.empty()) {
    return logits;
  }
  auto& graph = layer.graph();
  constexpr float kFar = 1e30F;
  const auto excess = graph.node("Sub", {is_token, graph.scalar(1.0F)});  // [batch, tokens, 1]
  return graph.node("Add", {logits, graph.node("Mul", {excess, graph.scalar(kFar)})});
}

/// The mean over the tokens of an image or text, [batch, 1, dim].
OnnxValue token_mean(const OnnxMoeLayer& layer, const OnnxValue& tokens) {
  auto& graph = layer.graph();
  const auto& context = layer.context;
  if (context.is_token.empty()) {
    return onnx_reduce(graph, OnnxReduction::kMean, tokens, 1, /*keep_axis=*/true);
  }
  const auto sum =
      onnx_reduce(graph, OnnxReduction::kSum, graph.node("Mul", {tokens, context.is_token}), 1,
                  /*keep_axis=*/true);
  return graph.node("Div", {sum, context.token_count});
}

/// `mean` [batch, 1, dim], repeated `count` times: [batch, count, dim].
OnnxValue repeated(OnnxGraph& graph, const OnnxValue& mean, int64_t count) {
  return graph.node("Tile", {mean, graph.ints({1, count, 1})});
}

}  // namespace

OnnxValue onnx_soft_moe(const OnnxMoeLayer& layer, const OnnxValue& tokens, SoftMixing mixing) {
  auto& graph = layer.graph();
  const int64_t per_expert = slots_per_expert(layer.options);
  const int64_t count = layer.experts() * per_expert;
  const auto logits = mixing != SoftMixing::kUniform ? soft_logits_of(layer, tokens) : "";
  auto slots = onnx_dispatched(layer, tokens);
  if (learns_dispatch(mixing)) {
    // Runtimes are fast at a softmax over the last axis.
    const auto dispatch =
        onnx_softmax(graph, onnx_transpose(graph, without_padding(layer, logits), {0, 2, 1}), -1);
    slots = graph.node("MatMul", {dispatch, slots});  // [batch, slots, dim]
  } else {
    slots = repeated(graph, token_mean(layer, slots), count);
  }
  const auto outputs = onnx_dispatched(layer, onnx_experts_of_slots(layer, slots, per_expert));
  if (learns_combine(mixing)) {
    return graph.node("MatMul", {combine_weights(layer, logits, count), outputs});
  }
  const auto mean = onnx_reduce(graph, OnnxReduction::kMean, outputs, 1, /*keep_axis=*/true);
  return repeated(graph, mean, layer.context.options.tokens());
}

OnnxValue onnx_identity_moe(const OnnxMoeLayer& layer, const OnnxValue& tokens) {
  // [batch, tokens, dim]
  return onnx_experts_of_slots(layer, tokens, slots_per_expert(layer.options));
}

OnnxValue onnx_position_moe(const OnnxMoeLayer& layer, const OnnxValue& tokens) {
  auto& graph = layer.graph();
  auto& weights = layer.context.weights;
  const auto name = layer.name + ".router.";
  const auto expert = weights.tensor(name + "expert_of_position").cpu().contiguous();  // [tokens]
  std::vector<int64_t> load(static_cast<size_t>(layer.experts()));
  std::vector<int64_t> row;
  for (int64_t token = 0; token < expert.size(0); ++token) {
    row.push_back(load.at(static_cast<size_t>(expert.const_data_ptr<int64_t>()[token]))++);
  }
  // Rows are the same in every image, so that each image has its slots as in Soft MoE.
  const int64_t rows = *std::max_element(load.begin(), load.end());
  const auto place = expert * rows + torch::tensor(row, torch::kInt64);  // [tokens]
  const auto token_of_slot = torch::zeros({layer.experts() * rows}, torch::kInt64)
                                 .scatter(0, place, torch::arange(expert.size(0)));
  const auto slots =
      onnx_gather(graph, tokens, weights.constant(name + "token_of_slot", token_of_slot), 1);
  const auto outputs = onnx_experts_of_slots(layer, slots, rows);  // [batch, slots, dim]
  return onnx_gather(graph, outputs, weights.constant(name + "slot_of_token", place), 1);
}

OnnxValue onnx_merged_experts(const OnnxMoeLayer& layer, const OnnxValue& tokens) {
  auto& graph = layer.graph();
  auto& weights = layer.context.weights;
  const int64_t dim = layer.options.dim;
  const int64_t hidden = layer.options.hidden_dim;
  const auto mean =
      onnx_reshape(graph, token_mean(layer, tokens), {0, layer.options.dim});  // [batch, dim]
  const auto router = weights.tensor(layer.name + ".router.weight").to(torch::kFloat32).t();
  const auto share = onnx_softmax(
      graph, graph.node("MatMul", {mean, weights.constant(layer.name + ".router.weight", router)}),
      -1);  // [batch, experts]
  const auto name = layer.name + ".experts.";
  const auto merged = [&](const std::string& parameter, const torch::Tensor& all,
                          const std::vector<OnnxLength>& shape) {
    const auto constant = weights.constant(name + parameter, all.to(torch::kFloat32).flatten(1));
    return onnx_reshape(graph, graph.node("MatMul", {share, constant}), shape);
  };
  const auto linear = [&](const OnnxValue& x, const std::string& part, int64_t in, int64_t out) {
    const auto matrix = merged(
        part + "_weight", weights.tensor(name + part + "_weight").transpose(1, 2), {-1, in, out});
    const auto bias = merged(part + "_bias", weights.tensor(name + part + "_bias"), {-1, 1, out});
    return graph.node("Add", {graph.node("MatMul", {x, matrix}), bias});
  };
  const auto inside =
      onnx_gelu(graph, linear(tokens, "fc1", dim, hidden), layer.options.activation);
  return linear(inside, "fc2", hidden, dim);  // [batch, tokens, dim]
}

}  // namespace softmoe
