#include "onnx/onnx_ops.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace softmoe {
namespace {

/// The first opsets with these operators, or with axes as their input.
constexpr int64_t kLayerNormOpset = 17;
constexpr int64_t kReduceAxesOpset = 18;
constexpr int64_t kGeluOpset = 20;

const char* reduction_name(OnnxReduction reduction) {
  switch (reduction) {
    case OnnxReduction::kMean:
      return "ReduceMean";
    case OnnxReduction::kMax:
      return "ReduceMax";
    case OnnxReduction::kSumOfSquares:
      return "ReduceSumSquare";
    default:
      return "ReduceSum";
  }
}

OnnxValue scaled(OnnxGraph& graph, const OnnxValue& x, double factor) {
  return graph.node("Mul", {x, graph.scalar(static_cast<float>(factor))});
}

OnnxValue plus(OnnxGraph& graph, const OnnxValue& x, double summand) {
  return graph.node("Add", {x, graph.scalar(static_cast<float>(summand))});
}

/// LayerNorm in parts, for opsets that do not have the operator.
OnnxValue layer_norm_of_parts(OnnxGraph& graph, const OnnxValue& x, const OnnxValue& weight,
                              const OnnxValue& bias, double eps) {
  const auto mean = onnx_reduce(graph, OnnxReduction::kMean, x, -1, /*keep_axis=*/true);
  const auto centered = graph.node("Sub", {x, mean});
  const auto square =
      graph.node("Pow", {centered, graph.scalar(2.0F)});  // a pattern that runtimes know
  const auto variance = onnx_reduce(graph, OnnxReduction::kMean, square, -1, /*keep_axis=*/true);
  const auto deviation = graph.node("Sqrt", {plus(graph, variance, eps)});
  const auto normed = graph.node("Mul", {graph.node("Div", {centered, deviation}), weight});
  return bias.empty() ? normed : graph.node("Add", {normed, bias});
}

// Both in the form that runtimes look for, to make one operator of it.
OnnxValue gelu_tanh(OnnxGraph& graph, const OnnxValue& x) {
  const auto square = graph.node("Mul", {scaled(graph, x, 0.044715), x});
  const auto angle = graph.node(
      "Mul", {plus(graph, square, 1.0), scaled(graph, x, std::sqrt(2.0 / std::numbers::pi))});
  const auto gate = plus(graph, graph.node("Tanh", {angle}), 1.0);
  return graph.node("Mul", {scaled(graph, x, 0.5), gate});
}

OnnxValue gelu_exact(OnnxGraph& graph, const OnnxValue& x) {
  const auto root = graph.scalar(static_cast<float>(std::numbers::sqrt2));
  const auto error = graph.node("Erf", {graph.node("Div", {x, root})});
  return scaled(graph, graph.node("Mul", {x, plus(graph, error, 1.0)}), 0.5);
}

}  // namespace

OnnxValue onnx_length(OnnxGraph& graph, const OnnxLength& length) {
  return length.is_known() ? graph.ints({length.known}) : length.value;
}

OnnxValue onnx_length_of(OnnxGraph& graph, const OnnxValue& x, int64_t axis) {
  return onnx_gather(graph, graph.node("Shape", {x}), graph.ints({axis}), 0);
}

OnnxLength onnx_multiply(OnnxGraph& graph, const OnnxLength& a, const OnnxLength& b) {
  if (a.is_known() && b.is_known()) {
    return a.known * b.known;
  }
  return graph.node("Mul", {onnx_length(graph, a), onnx_length(graph, b)});
}

OnnxLength onnx_divide(OnnxGraph& graph, const OnnxLength& a, const OnnxLength& b) {
  if (a.is_known() && b.is_known()) {
    return a.known / b.known;
  }
  return graph.node("Div", {onnx_length(graph, a), onnx_length(graph, b)});
}

OnnxLength onnx_minimum(OnnxGraph& graph, const OnnxLength& a, const OnnxLength& b) {
  if (a.is_known() && b.is_known()) {
    return std::min(a.known, b.known);
  }
  return graph.node("Min", {onnx_length(graph, a), onnx_length(graph, b)});
}

OnnxValue onnx_reshape(OnnxGraph& graph, const OnnxValue& x, const std::vector<OnnxLength>& shape) {
  const bool known = std::all_of(shape.begin(), shape.end(),
                                 [](const OnnxLength& length) { return length.is_known(); });
  std::vector<int64_t> lengths;
  std::vector<OnnxValue> parts;
  for (const auto& length : shape) {
    if (known) {
      lengths.push_back(length.known);
    } else {
      parts.push_back(onnx_length(graph, length));
    }
  }
  return graph.node("Reshape", {x, known ? graph.ints(lengths)
                                         : graph.node("Concat", parts, {{"axis", int64_t{0}}})});
}

OnnxValue onnx_transpose(OnnxGraph& graph, const OnnxValue& x, const std::vector<int64_t>& order) {
  return graph.node("Transpose", {x}, {{"perm", order}});
}

OnnxValue onnx_softmax(OnnxGraph& graph, const OnnxValue& x, int64_t axis) {
  return graph.node("Softmax", {x}, {{"axis", axis}});
}

OnnxValue onnx_cast(OnnxGraph& graph, const OnnxValue& x, OnnxType type) {
  return graph.node("Cast", {x}, {{"to", static_cast<int64_t>(type)}});
}

OnnxValue onnx_unsqueeze(OnnxGraph& graph, const OnnxValue& x, const std::vector<int64_t>& axes) {
  return graph.node("Unsqueeze", {x, graph.ints(axes)});
}

OnnxValue onnx_gather(OnnxGraph& graph, const OnnxValue& x, const OnnxValue& index, int64_t axis) {
  return graph.node("Gather", {x, index}, {{"axis", axis}});
}

OnnxValue onnx_slice(OnnxGraph& graph, const OnnxValue& x, int64_t axis, int64_t first,
                     int64_t end) {
  return graph.node("Slice", {x, graph.ints({first}), graph.ints({end}), graph.ints({axis})});
}

std::vector<OnnxValue> onnx_split(OnnxGraph& graph, const OnnxValue& x, int64_t axis, int64_t parts,
                                  int64_t length) {
  const std::vector<int64_t> lengths(static_cast<size_t>(parts), length);
  return graph.node_outputs("Split", {x, graph.ints(lengths)}, lengths.size(), {{"axis", axis}});
}

OnnxValue onnx_range(OnnxGraph& graph, const OnnxLength& length) {
  const auto end = length.is_known() ? graph.int_scalar(length.known)
                                     : graph.node("Squeeze", {length.value, graph.ints({0})});
  return graph.node("Range", {graph.int_scalar(0), end, graph.int_scalar(1)});
}

OnnxTop onnx_top(OnnxGraph& graph, const OnnxValue& x, const OnnxLength& count) {
  const auto outputs = graph.node_outputs("TopK", {x, onnx_length(graph, count)}, 2);
  return {.values = outputs[0], .index = outputs[1]};
}

OnnxValue onnx_reduce(OnnxGraph& graph, OnnxReduction reduction, const OnnxValue& x, int64_t axis,
                      bool keep_axis) {
  const OnnxAttribute keep{"keepdims", int64_t{keep_axis}};
  // ReduceSum takes axes as an input from an earlier opset on than the others.
  if (reduction == OnnxReduction::kSum || graph.opset() >= kReduceAxesOpset) {
    return graph.node(reduction_name(reduction), {x, graph.ints({axis})}, {keep});
  }
  return graph.node(reduction_name(reduction), {x}, {keep, {"axes", std::vector<int64_t>{axis}}});
}

OnnxValue onnx_layer_norm(OnnxGraph& graph, const OnnxValue& x, const OnnxValue& weight,
                          const OnnxValue& bias, double eps) {
  if (graph.opset() < kLayerNormOpset) {
    return layer_norm_of_parts(graph, x, weight, bias, eps);
  }
  std::vector<OnnxValue> inputs{x, weight};
  if (!bias.empty()) {
    inputs.push_back(bias);
  }
  return graph.node("LayerNormalization", inputs,
                    {{"axis", int64_t{-1}}, {"epsilon", static_cast<float>(eps)}});
}

OnnxValue onnx_gelu(OnnxGraph& graph, const OnnxValue& x, Activation gelu) {
  if (gelu == Activation::kGeluQuick) {
    return graph.node("Mul", {x, graph.node("Sigmoid", {scaled(graph, x, 1.702)})});
  }
  if (gelu == Activation::kGeluTanh) {
    return gelu_tanh(graph,
                     x);  // OpenCV 5.0 computes the operator's approximation as the exact form
  }
  return graph.opset() >= kGeluOpset ? graph.node("Gelu", {x}) : gelu_exact(graph, x);
}

}  // namespace softmoe
