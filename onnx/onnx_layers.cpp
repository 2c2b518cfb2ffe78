#include "onnx/onnx_layers.h"

#include <ATen/Functions.h>

#include "vit/position_embedding.h"

namespace softmoe {
namespace {

/// softmax(queries keys^T / sqrt(head_dim)) values, joined to [batch, queries, dim]. Heads are
/// [batch, heads, tokens, head_dim], those of keys are transposed.
OnnxValue attend(OnnxContext& context, const OnnxValue& queries, const OnnxValue& keys,
                 const OnnxValue& values, int64_t query_count) {
  auto& graph = context.graph;
  const int64_t head_dim = context.options.dim / context.options.heads;
  const auto factor = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
  auto scores = graph.node("Mul", {graph.node("MatMul", {queries, keys}), graph.scalar(factor)});
  if (!context.attention_mask.empty()) {
    scores = graph.node("Add", {scores, context.attention_mask});
  }
  const auto mixed = graph.node("MatMul", {onnx_softmax(graph, scores, -1), values});
  return onnx_reshape(graph, onnx_transpose(graph, mixed, {0, 2, 1, 3}),
                      {0, query_count, context.options.dim});
}

/// `x` [batch, tokens, dim] as [batch, tokens, heads, head_dim].
OnnxValue split_heads(OnnxContext& context, const OnnxValue& x, int64_t tokens) {
  const auto& options = context.options;
  return onnx_reshape(context.graph, x, {0, tokens, options.heads, options.dim / options.heads});
}

/// LayerNorm without bias over the channels of each head, if the model has QK-norm.
OnnxValue head_norm(OnnxContext& context, const OnnxValue& x, const std::string& name) {
  return context.options.qk_norm
             ? onnx_layer_norm(context.graph, x, context.weights.exact(name + ".weight"), "",
                               context.options.norm_eps)
             : x;
}

/// The sum of positions and prefix tokens, [1, tokens, dim], which is added to the patches behind
/// zeros, [batch, tokens, dim].
torch::Tensor added_to_tokens(const OnnxContext& context) {
  const auto& weights = context.weights;
  const bool learns = context.options.pos_embed == PositionEmbedding::kLearned;
  const auto learned = learns ? weights.tensor("pos_embed") : torch::Tensor();
  std::vector<torch::Tensor> prefix;
  for (const char* name : {"cls_token", "dist_token", "reg_token"}) {
    if (weights.has(name)) {
      prefix.push_back(weights.tensor(name));
    }
  }
  return token_offsets(context.options, learned, prefix);  // [1, tokens, dim]
}

}  // namespace

OnnxLength onnx_batch(OnnxContext& context) {
  return context.batch_size > 0 ? OnnxLength(context.batch_size)
                                : onnx_length_of(context.graph, context.images, 0);
}

OnnxValue onnx_linear(OnnxContext& context, const OnnxValue& x, const std::string& name) {
  const auto product = context.graph.node("MatMul", {x, context.weights.matrix(name + ".weight")});
  return context.graph.node("Add", {product, context.weights.exact(name + ".bias")});
}

OnnxValue onnx_norm(OnnxContext& context, const OnnxValue& x, const std::string& name) {
  return onnx_layer_norm(context.graph, x, context.weights.exact(name + ".weight"),
                         context.weights.exact(name + ".bias"), context.options.norm_eps);
}

OnnxValue onnx_mlp(OnnxContext& context, const OnnxValue& x, const std::string& name) {
  auto& graph = context.graph;
  const auto& options = context.options;
  auto hidden = onnx_linear(context, x, name + ".fc1");  // [..., hidden], gates before values
  if (options.mlp_layer == MlpLayer::kSwiGlu) {
    const auto parts = onnx_split(graph, hidden, /*axis=*/2, /*parts=*/2, options.mlp_dim);
    const auto silu = graph.node("Mul", {parts[0], graph.node("Sigmoid", {parts[0]})});
    hidden = graph.node("Mul", {silu, parts[1]});  // [batch, tokens, mlp_dim]
  } else {
    hidden = onnx_gelu(graph, hidden, options.gelu);  // [..., mlp_dim]
  }
  return onnx_linear(context, hidden, name + ".fc2");
}

OnnxValue onnx_attention(OnnxContext& context, const OnnxValue& x, const std::string& name) {
  auto& graph = context.graph;
  const int64_t tokens = context.options.tokens();
  const auto parts = onnx_split(graph, onnx_linear(context, x, name + ".qkv"), /*axis=*/2,
                                /*parts=*/3, context.options.dim);
  const auto queries = head_norm(context, split_heads(context, parts[0], tokens), name + ".q_norm");
  const auto keys = head_norm(context, split_heads(context, parts[1], tokens), name + ".k_norm");
  const auto values = split_heads(context, parts[2], tokens);  // [batch, tokens, heads, head_dim]
  const auto mixed = attend(context, onnx_transpose(graph, queries, {0, 2, 1, 3}),
                            onnx_transpose(graph, keys, {0, 2, 3, 1}),
                            onnx_transpose(graph, values, {0, 2, 1, 3}), tokens);
  return onnx_linear(context, mixed, name + ".proj");  // [batch, tokens, dim]
}

OnnxValue onnx_attention_pool(OnnxContext& context, const OnnxValue& x, const std::string& name) {
  auto& graph = context.graph;
  auto& weights = context.weights;
  const auto& options = context.options;
  const auto fp32 = [&](const std::string& parameter) {
    return weights.tensor(name + parameter).to(torch::kFloat32);
  };
  // The query is the same for all images.
  auto query = at::linear(fp32(".latent"), fp32(".q.weight"), fp32(".q.bias"))
                   .view({1, options.heads, 1, -1});  // [1, heads, 1, head_dim]
  if (options.qk_norm) {
    query = at::layer_norm(query, {query.size(3)}, fp32(".q_norm.weight"), {}, options.norm_eps);
  }
  const auto parts = onnx_split(graph, onnx_linear(context, x, name + ".kv"), /*axis=*/2,
                                /*parts=*/2, options.dim);
  const int64_t tokens = options.pooled_tokens();
  const auto keys = head_norm(context, split_heads(context, parts[0], tokens), name + ".k_norm");
  const auto values = split_heads(context, parts[1], tokens);  // [batch, tokens, heads, head_dim]
  const auto mixed = attend(context, weights.constant(name + ".query", query),
                            onnx_transpose(graph, keys, {0, 2, 3, 1}),
                            onnx_transpose(graph, values, {0, 2, 1, 3}), /*query_count=*/1);
  const auto pooled = onnx_linear(context, onnx_reshape(graph, mixed, {0, options.dim}),
                                  name + ".proj");  // [batch, dim]
  const auto normed = onnx_norm(context, pooled, name + ".norm");
  return graph.node("Add", {pooled, onnx_mlp(context, normed, name + ".mlp")});
}

OnnxValue onnx_embedding(OnnxContext& context) {
  auto& graph = context.graph;
  auto& weights = context.weights;
  const auto& options = context.options;
  std::vector<OnnxValue> inputs{context.images, weights.kernel("patch_embed.proj.weight")};
  if (options.patch_bias) {
    inputs.push_back(weights.exact("patch_embed.proj.bias"));
  }
  const std::vector<int64_t> patch(2, options.patch_size);
  const auto grid = graph.node("Conv", inputs, {{"kernel_shape", patch}, {"strides", patch}});
  auto tokens =
      onnx_transpose(graph, onnx_reshape(graph, grid, {0, options.dim, options.patches()}),
                     {0, 2, 1});  // [batch, patches, dim]
  if (options.prefix_tokens() > 0) {
    // Zeros for the prefix: its tokens are in the sum, for any number of images.
    tokens = graph.node("Pad", {tokens, graph.ints({0, options.prefix_tokens(), 0, 0, 0, 0})});
  }
  tokens = graph.node("Add", {tokens, weights.constant("positions", added_to_tokens(context))});
  return options.pre_norm ? onnx_norm(context, tokens, "norm_pre") : tokens;
}

}  // namespace softmoe
