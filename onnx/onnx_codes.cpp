#include "onnx/onnx_codes.h"

#include <ATen/Functions.h>

namespace softmoe {
namespace {

/// fixed_point() of softmoe/routers/hash_maps.h: pixels of patches, [batch * patches, pixels] fp64.
OnnxValue fixed_points(const OnnxContext& context) {
  auto& graph = context.graph;
  const auto& options = context.options;
  const int64_t channels = options.in_chans;
  const int64_t patch = options.patch_size;
  const auto apart =
      onnx_reshape(graph, context.images,
                   {-1, channels, options.grid_height(), patch, options.grid_width(), patch});
  const auto patches = onnx_reshape(graph, onnx_transpose(graph, apart, {0, 2, 4, 1, 3, 5}),
                                    {-1, channels * patch * patch});
  const auto coarse =
      onnx_cast(graph, onnx_cast(graph, patches, OnnxType::kBFloat16), OnnxType::kFloat);
  const auto clipped = graph.node("Clip", {coarse, graph.scalar(-16.0F), graph.scalar(16.0F)});
  const auto units = graph.node("Round", {graph.node("Mul", {clipped, graph.scalar(4096.0F)})});
  return onnx_cast(graph, units, OnnxType::kDouble);
}

OnnxValue double_constant(const OnnxMoeLayer& layer, const std::string& name,
                          const torch::Tensor& tensor) {
  return layer.context.weights.constant(layer.name + ".router." + name, tensor.to(torch::kFloat64));
}

/// projection_codes() of softmoe/routers/hash_maps.h, [batch * patches].
OnnxValue projection_codes_of(const OnnxMoeLayer& layer, const OnnxValue& points) {
  auto& graph = layer.graph();
  const auto& weights = layer.context.weights;
  const auto projection = weights.tensor(layer.name + ".router.projection");  // [pixels, bits]
  const auto threshold = weights.tensor(layer.name + ".router.threshold");    // [bits]
  const auto projected =
      graph.node("MatMul", {points, double_constant(layer, "projection", projection)});
  const auto bits = onnx_cast(
      graph, graph.node("Greater", {projected, double_constant(layer, "threshold", threshold)}),
      OnnxType::kInt64);
  const auto values = at::pow(2, torch::arange(projection.size(1), torch::kInt64));  // [bits]
  const auto weighted = graph.node(
      "Mul", {bits, layer.context.weights.constant(layer.name + ".router.bits", values)});
  return onnx_reduce(graph, OnnxReduction::kSum, weighted, -1, /*keep_axis=*/false);
}

/// nearest_centers() of softmoe/assignment/kmeans.h, [batch * patches].
OnnxValue nearest_codes_of(const OnnxMoeLayer& layer, const OnnxValue& points) {
  auto& graph = layer.graph();
  const auto codebook =
      layer.context.weights.tensor(layer.name + ".router.codebook").to(torch::kFloat64);
  // Squared distances without the squared length of the point, exact in fp64.
  const auto products =
      graph.node("MatMul", {points, double_constant(layer, "codebook", 2 * codebook.t())});
  const auto lengths = double_constant(layer, "lengths", codebook.square().sum(1));  // [codes]
  return graph.node("ArgMin", {graph.node("Sub", {lengths, products})},
                    {{"axis", int64_t{1}}, {"keepdims", int64_t{0}}});
}

}  // namespace

OnnxValue onnx_codes(const OnnxMoeLayer& layer) {
  auto& context = layer.context;
  if (context.codes.empty()) {
    const auto points = fixed_points(context);
    const auto codes = context.weights.has(layer.name + ".router.codebook")
                           ? nearest_codes_of(layer, points)
                           : projection_codes_of(layer, points);
    context.codes = onnx_reshape(context.graph, codes, {-1, context.options.patches()});
  }
  return context.codes;
}

}  // namespace softmoe
