#include "onnx/onnx_image_text.h"

#include <ATen/Functions.h>

#include "core/error.h"
#include "core/version.h"
#include "onnx/onnx_moe.h"
#include "onnx/onnx_tower.h"
#include "softmoe/routers.h"

namespace softmoe {
namespace {

/// So much is added to the scores of tokens that are not seen.
constexpr float kUnseen = -1e30F;

/// The weights of one tower, by their names in it.
NamedTensors tower_weights(const NamedTensors& weights, const std::string& prefix) {
  auto all = weights;
  return take_part(all, prefix);
}

/// `x` [batch, dim], each row divided by its length.
OnnxValue of_length_one(OnnxGraph& graph, const OnnxValue& x) {
  const auto squares = onnx_reduce(graph, OnnxReduction::kSumOfSquares, x, 1, /*keep_axis=*/true);
  constexpr float kMinLength = 1e-12F;
  const auto length = graph.node("Max", {graph.node("Sqrt", {squares}), graph.scalar(kMinLength)});
  return graph.node("Div", {x, length});
}

void finish(OnnxContext& context, const OnnxValue& embeddings,
            const ImageTextDescription& description) {
  auto& graph = context.graph;
  const int64_t batch = context.batch_size > 0 ? context.batch_size : kAnyLength;
  graph.output("embeddings", of_length_one(graph, embeddings), OnnxType::kFloat,
               {batch, description.options.embedding_dim()});
  const auto metadata = to_metadata(description);
  graph.set_producer("softmoe", std::string(kVersion));
  graph.set_metadata("softmoe_version", std::string(kVersion));
  graph.set_metadata("model_name", description.name);
  graph.set_metadata("model", json_text(metadata.at(kImageTextKey)));
  graph.set_metadata("preprocess", json_text(metadata.at("preprocess")));
}

/// Graph and context of a tower with the blocks of `options`.
OnnxContext tower_context(OnnxGraph& graph, const NamedTensors& weights, const VitOptions& options,
                          const OnnxOptions& onnx) {
  if (has_moe(options)) {
    check_onnx_router(options.moe.router);
  }
  return {.graph = graph,
          .weights = OnnxWeights(graph, weights, onnx.dtype),
          .options = options,
          .batch_size = onnx.batch_size,
          .images = {},
          .codes = {}};
}

/// The inputs of a text tower.
struct TextInputs {
  OnnxValue ids;      ///< [batch, tokens]
  OnnxValue lengths;  ///< [batch, 1]
};

/// Sets the masks of `context`; returns which tokens there are, [batch, tokens] bool.
OnnxValue set_masks(OnnxContext& context, const OnnxValue& lengths, const TextOptions& options) {
  auto& graph = context.graph;
  const auto positions = context.weights.constant("positions", torch::arange(options.context));
  const auto is_token = graph.node("Less", {positions, lengths});  // [batch, tokens]
  const auto as_number = onnx_cast(graph, is_token, OnnxType::kFloat);
  context.is_token = onnx_unsqueeze(graph, as_number, {2});  // [batch, tokens, 1]
  context.token_count =
      onnx_unsqueeze(graph, onnx_cast(graph, lengths, OnnxType::kFloat), {2});  // [batch, 1, 1]
  if (options.causal) {
    // Padding is behind all tokens.
    const auto mask = torch::full({options.context, options.context}, kUnseen)
                          .triu(1)
                          .view({1, 1, options.context, options.context});
    context.attention_mask = context.weights.constant("causal_mask", mask);
  } else {
    const auto padding = graph.node("Sub", {graph.scalar(1.0F), as_number});
    context.attention_mask =
        onnx_unsqueeze(graph, graph.node("Mul", {padding, graph.scalar(kUnseen)}),
                       {1, 2});  // [batch, 1, 1, tokens]
  }
  return is_token;
}

/// The number of the token that ends each text, [batch, 1]; see end_tokens().
OnnxValue end_of_text(OnnxContext& context, const TextInputs& inputs, const OnnxValue& is_token,
                      int64_t eot_token) {
  auto& graph = context.graph;
  const auto number = [&](const OnnxValue& flags) {
    return onnx_cast(graph, flags, OnnxType::kInt64);
  };
  OnnxValue scores;  // [batch, tokens]: the first of the largest ends the text
  if (eot_token == kLargestId) {
    scores = graph.node("Where", {is_token, inputs.ids, graph.int_scalar(-1)});
  } else {
    // The last token has 1 if none has 2.
    const auto last = graph.node(
        "Equal",
        {context.weights.constant("numbers_from_1", torch::arange(context.options.tokens()) + 1),
         inputs.lengths});
    const auto ends = graph.node(
        "And", {graph.node("Equal", {inputs.ids, graph.int_scalar(eot_token)}), is_token});
    scores =
        graph.node("Add", {number(last), graph.node("Mul", {number(ends), graph.int_scalar(2)})});
  }
  return graph.node("ArgMax", {scores}, {{"axis", int64_t{1}}, {"keepdims", int64_t{1}}});
}

/// One vector for each text, [batch, dim], of `tokens` [batch, tokens, dim] behind the final norm.
OnnxValue pooled_texts(OnnxContext& context, const OnnxValue& tokens, const TextInputs& inputs,
                       const OnnxValue& is_token, const TextOptions& options) {
  auto& graph = context.graph;
  if (options.pool == TextPool::kFirst) {
    return onnx_gather(graph, tokens, graph.int_scalar(0), 1);
  }
  if (options.pool == TextPool::kMean) {
    const auto sum =
        onnx_reduce(graph, OnnxReduction::kSum, graph.node("Mul", {tokens, context.is_token}), 1,
                    /*keep_axis=*/true);
    return onnx_reshape(graph, graph.node("Div", {sum, context.token_count}), {0, options.dim});
  }
  const auto place = options.pool == TextPool::kEot
                         ? end_of_text(context, inputs, is_token, options.eot_token)
                         : graph.node("Sub", {inputs.lengths, graph.int_scalar(1)});  // [batch, 1]
  const auto is_place = graph.node(
      "Equal", {context.weights.constant("places", torch::arange(options.context)), place});
  const auto weights = onnx_unsqueeze(graph, onnx_cast(graph, is_place, OnnxType::kFloat),
                                      {1});  // [batch, 1, tokens]
  return onnx_reshape(graph, graph.node("MatMul", {weights, tokens}), {0, options.dim});
}

}  // namespace

OnnxGraph onnx_image_tower(const ImageTextDescription& description, const NamedTensors& weights,
                           const OnnxOptions& options) {
  const auto& model = description.options;
  validate(model);
  const auto tower = tower_weights(weights, "image.");
  OnnxGraph graph(options.opset);
  auto context = tower_context(graph, tower, model.image, options);
  const ModelDescription images{.name = description.name,
                                .options = model.image,
                                .class_names = {},
                                .preprocess = description.preprocess};
  auto features = onnx_image_features(context, images, options.preprocess);
  if (model.image_projection) {
    const auto matrix = weights.at("image_projection.weight").to(torch::kFloat32).t();
    features = graph.node("MatMul", {features, context.weights.constant("projection", matrix)});
  }
  finish(context, features, description);
  return graph;
}

OnnxGraph onnx_text_tower(const ImageTextDescription& description, const NamedTensors& weights,
                          const OnnxOptions& options) {
  const auto& text = description.options.text;
  validate(description.options);
  const auto blocks = block_options(text);
  if (has_moe(blocks) && router_row(text.moe.router).texts != TextRouting::kByText) {
    throw UsageError("text-router", "one that routes each text by itself, for ONNX",
                     text.moe.router);
  }
  const auto tower = tower_weights(weights, "text.");
  OnnxGraph graph(options.opset);
  auto context = tower_context(graph, tower, blocks, options);
  const int64_t batch = options.batch_size > 0 ? options.batch_size : kAnyLength;
  const auto ids = graph.input("ids", OnnxType::kInt64, {batch, text.context});
  const auto lengths = graph.input("lengths", OnnxType::kInt64, {batch});
  graph.set_scope("embed");
  const TextInputs inputs{.ids = ids, .lengths = onnx_unsqueeze(graph, lengths, {1})};
  const auto is_token = set_masks(context, inputs.lengths, text);
  const auto embedded =
      graph.node("Add", {onnx_gather(graph, context.weights.exact("token_embed"), ids, 0),
                         context.weights.exact("pos_embed")});  // [batch, tokens, dim]
  const auto tokens = onnx_blocks(context, embedded);
  graph.set_scope("head");
  auto pooled = pooled_texts(context, onnx_norm(context, tokens, "norm"), inputs, is_token, text);
  if (text.embed_dim > 0) {
    pooled = text.projection_bias
                 ? onnx_linear(context, pooled, "projection")
                 : graph.node("MatMul", {pooled, context.weights.matrix("projection.weight")});
  }
  finish(context, pooled, description);
  return graph;
}

}  // namespace softmoe
