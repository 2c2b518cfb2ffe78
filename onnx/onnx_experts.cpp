#include "onnx/onnx_experts.h"

namespace softmoe {
namespace {

/// The rows of experts [count, in] by their own matrices, [experts, rows, out].
OnnxValue batched_linear(const OnnxMoeLayer& layer, const OnnxValue& x, const std::string& name) {
  auto& weights = layer.context.weights;
  const auto product = layer.graph().node("MatMul", {x, weights.matrix(name + "_weight")});
  const auto bias = weights.tensor(name + "_bias").to(torch::kFloat32).unsqueeze(1);
  return layer.graph().node("Add", {product, weights.constant(name + "_bias", bias)});
}

}  // namespace

OnnxValue onnx_experts(const OnnxMoeLayer& layer, const OnnxValue& inputs) {
  const auto name = layer.name + ".experts.";
  const auto hidden = batched_linear(layer, inputs, name + "fc1");  // [experts, rows, hidden]
  return batched_linear(layer, onnx_gelu(layer.graph(), hidden, layer.options.activation),
                        name + "fc2");
}

OnnxValue onnx_dispatched(const OnnxMoeLayer& layer, const OnnxValue& x) {
  return layer.options.moe.dispatch_dtype == Precision::kBFloat16
             ? onnx_cast(layer.graph(), onnx_cast(layer.graph(), x, OnnxType::kBFloat16),
                         OnnxType::kFloat)
             : x;
}

OnnxValue onnx_experts_of_rows(const OnnxMoeLayer& layer, const OnnxValue& inputs) {
  return onnx_dispatched(layer, onnx_experts(layer, onnx_dispatched(layer, inputs)));
}

OnnxValue onnx_experts_of_slots(const OnnxMoeLayer& layer, const OnnxValue& slots,
                                int64_t slots_per_expert) {
  auto& graph = layer.graph();
  const int64_t experts = layer.experts();
  const int64_t dim = layer.options.dim;
  if (slots_per_expert == 1) {
    const auto inputs = onnx_transpose(graph, slots, {1, 0, 2});  // [experts, batch, dim]
    return onnx_transpose(graph, onnx_experts(layer, inputs), {1, 0, 2});
  }
  const auto apart = onnx_reshape(graph, slots, {0, experts, slots_per_expert, dim});
  const auto inputs = onnx_reshape(graph, onnx_transpose(graph, apart, {1, 0, 2, 3}),
                                   {experts, -1, dim});  // [experts, rows, dim]
  const auto outputs =
      onnx_reshape(graph, onnx_experts(layer, inputs), {experts, -1, slots_per_expert, dim});
  return onnx_reshape(graph, onnx_transpose(graph, outputs, {1, 0, 2, 3}),
                      {-1, experts * slots_per_expert, dim});  // [batch, slots, dim]
}

}  // namespace softmoe
