#include "onnx/onnx_tower.h"

#include "onnx/onnx_moe.h"
#include "vit/moe_blocks.h"

namespace softmoe {
namespace {

/// The constant `values` times 255: one value, or one per channel.
OnnxValue pixel_constant(OnnxContext& context, const std::string& name,
                         const std::vector<double>& values) {
  const auto scaled = torch::tensor(values, torch::kFloat64) * 255.0;
  return context.weights.constant(name, scaled.to(torch::kFloat32));
}

/// The input of the graph as the model takes it, [batch, channels, height, width].
OnnxValue input_images(OnnxContext& context, const ModelDescription& description,
                       bool from_pixels) {
  auto& graph = context.graph;
  const auto& model = description.options;
  const int64_t batch = context.batch_size > 0 ? context.batch_size : kAnyLength;
  const int64_t height = model.image_height();
  const int64_t width = model.image_width();
  if (!from_pixels) {
    return graph.input("images", OnnxType::kFloat, {batch, model.in_chans, height, width});
  }
  const auto preprocess = stored_preprocess(description, description.name);
  const auto pixels =
      graph.input("images", OnnxType::kUInt8, {batch, height, width, model.in_chans});
  graph.set_scope("preprocess");
  // Exact differences first, then one rounding, so that all runtimes get the same numbers.
  const auto centered =
      graph.node("Sub", {onnx_cast(graph, pixels, OnnxType::kFloat),
                         pixel_constant(context, "preprocess.mean", preprocess.mean)});
  const auto normed =
      graph.node("Div", {centered, pixel_constant(context, "preprocess.std", preprocess.std)});
  return onnx_transpose(graph, normed, {0, 3, 1, 2});
}

OnnxValue add(OnnxGraph& graph, const OnnxValue& a, const OnnxValue& b) {
  return graph.node("Add", {a, b});
}

OnnxValue scaled_branch(OnnxContext& context, const OnnxValue& x, const std::string& name) {
  return context.options.layer_scale > 0
             ? context.graph.node("Mul", {x, context.weights.exact(name + ".gamma")})
             : x;
}

/// Block `name` of `x` [batch, tokens, dim].
OnnxValue block(OnnxContext& context, OnnxValue x, const std::string& name, bool has_moe) {
  auto& graph = context.graph;
  graph.set_scope(name + "/attn");
  const auto mixed =
      onnx_attention(context, onnx_norm(context, x, name + ".norm1"), name + ".attn");
  x = add(graph, x, scaled_branch(context, mixed, name + ".ls1"));
  graph.set_scope(name + (has_moe ? "/moe" : "/mlp"));
  const auto normed = onnx_norm(context, x, name + ".norm2");
  auto out = has_moe ? onnx_moe_layer(context, normed, name + ".moe")
                     : onnx_mlp(context, normed, name + ".mlp");
  if (has_moe && has_mlp(context.options, has_moe)) {
    graph.set_scope(name + "/moe/mlp");
    out = add(graph, out, onnx_mlp(context, normed, name + ".mlp"));
  }
  return add(graph, x, scaled_branch(context, out, name + ".ls2"));
}

/// The input of the head, [batch, head_inputs], or [batch, 2, head_inputs] with a distillation
/// token. The final norm is computed after pooling if that gives the same.
OnnxValue head_inputs(OnnxContext& context, const OnnxValue& tokens) {
  auto& graph = context.graph;
  const auto& options = context.options;
  const bool norm_first = options.final_norm == FinalNorm::kTokens;
  const auto norm = [&](const OnnxValue& x) {
    return onnx_norm(context, x, norm_first ? "norm" : "fc_norm");
  };
  OnnxValue vectors;
  if (options.global_pool == GlobalPool::kToken) {
    vectors = norm(options.dist_token ? onnx_slice(graph, tokens, 1, 0, 2)
                                      : onnx_gather(graph, tokens, graph.int_scalar(0), 1));
  } else {
    const auto seen = norm_first ? norm(tokens) : tokens;
    const int64_t first = options.first_pooled_token();
    const auto pooled = first > 0 ? onnx_slice(graph, seen, 1, first, options.tokens()) : seen;
    vectors = options.global_pool == GlobalPool::kMap
                  ? onnx_attention_pool(context, pooled, "attn_pool")
                  : onnx_reduce(graph, OnnxReduction::kMean, pooled, 1, /*keep_axis=*/false);
    if (options.global_pool == GlobalPool::kTokenAvg) {
      const auto class_token = onnx_gather(graph, seen, graph.int_scalar(0), 1);  // [batch, dim]
      vectors = graph.node("Concat", {class_token, vectors}, {{"axis", int64_t{1}}});
    }
    vectors = norm_first ? vectors : norm(vectors);
  }
  return options.pre_logits > 0 ? graph.node("Tanh", {onnx_linear(context, vectors, "pre_logits")})
                                : vectors;
}

}  // namespace

OnnxValue onnx_blocks(OnnxContext& context, OnnxValue tokens) {
  const auto& options = context.options;
  const auto has_moe_layer = moe_block_mask(options.moe_blocks, options.depth);
  for (int64_t index = 0; index < options.depth; ++index) {
    tokens = block(context, tokens, "blocks." + std::to_string(index),
                   has_moe_layer[static_cast<size_t>(index)]);
  }
  return tokens;
}

OnnxValue onnx_image_features(OnnxContext& context, const ModelDescription& description,
                              bool from_pixels) {
  context.images = input_images(context, description, from_pixels);
  context.graph.set_scope("embed");
  const auto tokens = onnx_blocks(context, onnx_embedding(context));  // [batch, tokens, dim]
  context.graph.set_scope("head");
  return head_inputs(context, tokens);
}

}  // namespace softmoe
