#include "onnx/onnx_model.h"

#include <cerrno>
#include <fstream>

#include "core/error.h"
#include "core/version.h"
#include "io/atomic_file.h"
#include "io/file_error.h"
#include "onnx/onnx_moe.h"
#include "vit/moe_blocks.h"

namespace softmoe {
namespace {

/// `values` in units of pixels, one or one a channel.
OnnxValue pixel_constant(OnnxContext& context, const std::string& name,
                         const std::vector<double>& values) {
  const auto scaled = torch::tensor(values, torch::kFloat64) * 255.0;
  return context.weights.constant(name, scaled.to(torch::kFloat32));
}

/// The input of the graph as the model takes it, [batch, channels, height, width].
OnnxValue input_images(OnnxContext& context, const ModelDescription& description,
                       const OnnxOptions& options) {
  auto& graph = context.graph;
  const auto& model = description.options;
  const int64_t batch = options.batch_size > 0 ? options.batch_size : kAnyLength;
  const int64_t height = model.image_height();
  const int64_t width = model.image_width();
  if (!options.preprocess) {
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

/// Logits [batch, num_classes] of the input of the head.
OnnxValue logits_of(OnnxContext& context, const OnnxValue& inputs) {
  auto& graph = context.graph;
  if (!context.options.dist_token) {
    return onnx_linear(context, inputs, "head");
  }
  const auto part = [&](int64_t index) {
    return onnx_gather(graph, inputs, graph.int_scalar(index), 1);  // [batch, head_inputs]
  };
  const auto sum =
      add(graph, onnx_linear(context, part(0), "head"), onnx_linear(context, part(1), "head_dist"));
  return graph.node("Mul", {sum, graph.scalar(0.5F)});
}

void set_metadata(OnnxGraph& graph, const ModelDescription& description) {
  graph.set_producer("softmoe", std::string(kVersion));
  graph.set_metadata("softmoe_version", std::string(kVersion));
  graph.set_metadata("model_name", description.name);
  graph.set_metadata("model", json_text(options_to_json(description.options)));
  graph.set_metadata("classes", json_text(Json(description.class_names)));
  graph.set_metadata("preprocess", json_text(to_metadata(description).at("preprocess")));
  graph.set_metadata("loss", enum_name(description.likelihood));
}

std::ofstream open_output(const std::filesystem::path& path) {
  errno = 0;
  return std::ofstream(path, std::ios::binary);
}

void check_written(std::ofstream& stream, const std::filesystem::path& path) {
  stream.close();
  if (!stream) {
    throw_write_error(path, errno);
  }
}

}  // namespace

void describe(OptionTable& table, OnnxOptions& options) {
  table.add("dtype", options.dtype,
            "of the stored weights; in an ONNX model of its matrices alone, and it computes in "
            "float32 unless the runtime chooses otherwise",
            {Precision::kFloat32, Precision::kFloat16, Precision::kBFloat16});
  table.add("preprocess", options.preprocess,
            "ONNX: take pixels, [batch, height, width, channels] uint8 of the model's size, and do "
            "scale, "
            "normalisation and transposition inside");
  table.add("features", options.features, "ONNX: give out what the head gets as well");
  table.add("batch-size", options.batch_size, "ONNX: images at once; 0: any number", {.min = 0});
  table.add("opset", options.opset, "of ONNX's operators; before 17 LayerNorm is written in parts",
            {.min = static_cast<double>(kOldestOpset), .max = static_cast<double>(kNewestOpset)});
  table.add("external-data", options.external_data,
            "ONNX: weights in a file beside the model; auto: above 2 GB");
}

OnnxGraph onnx_model(const ModelDescription& description, const NamedTensors& weights,
                     const OnnxOptions& options) {
  const auto& model = description.options;
  validate(model);
  TORCH_CHECK_VALUE(options.dtype == Precision::kFloat32 || options.dtype == Precision::kFloat16 ||
                        options.dtype == Precision::kBFloat16,
                    "onnx_model: no weights of ", enum_name(options.dtype));
  if (has_moe(model)) {
    check_onnx_router(model.moe.router);
  }
  OnnxGraph graph(options.opset);
  OnnxContext context{.graph = graph,
                      .weights = OnnxWeights(graph, weights, options.dtype),
                      .options = model,
                      .batch_size = options.batch_size,
                      .images = {},
                      .codes = {}};
  context.images = input_images(context, description, options);
  graph.set_scope("embed");
  auto tokens = onnx_embedding(context);  // [batch, tokens, dim]
  const auto has_moe_layer = moe_block_mask(model.moe_blocks, model.depth);
  for (int64_t index = 0; index < model.depth; ++index) {
    tokens = block(context, tokens, "blocks." + std::to_string(index),
                   has_moe_layer[static_cast<size_t>(index)]);
  }
  graph.set_scope("head");
  const auto inputs = head_inputs(context, tokens);
  const int64_t batch = options.batch_size > 0 ? options.batch_size : kAnyLength;
  if (model.num_classes > 0) {
    graph.output("logits", logits_of(context, inputs), OnnxType::kFloat,
                 {batch, model.num_classes});
  }
  if (model.num_classes == 0 || options.features) {
    const auto features =
        model.dist_token ? onnx_reshape(graph, inputs, {0, model.feature_dim()}) : inputs;
    graph.output("features", features, OnnxType::kFloat, {batch, model.feature_dim()});
  }
  set_metadata(graph, description);
  return graph;
}

OnnxFiles write_onnx(const OnnxGraph& graph, const std::filesystem::path& path,
                     ExternalData external_data) {
  const bool too_large = graph.constant_bytes() > kMaxInlineBytes;
  if (too_large && external_data == ExternalData::kNever) {
    throw InputError(path.string(), "at most 2 GB of weights without external data",
                     std::to_string(graph.constant_bytes()) + " bytes");
  }
  OnnxFiles files{.model = path, .data = {}};
  if (external_data != ExternalData::kAlways && !too_large) {
    write_atomically(path, [&](const std::filesystem::path& temporary) {
      auto stream = open_output(temporary);
      graph.write(stream);
      check_written(stream, path);
    });
    return files;
  }
  // Runtimes look for the data beside the model.
  files.data = link_target(path);
  files.data += ".data";
  // Both files are written whole; then the data are renamed before the model that refers to them.
  write_atomically(path, [&](const std::filesystem::path& temporary) {
    auto model = open_output(temporary);
    write_atomically(files.data, [&](const std::filesystem::path& temporary_data) {
      auto data = open_output(temporary_data);
      graph.write(model, data, files.data.filename().string());
      check_written(data, files.data);
      check_written(model, path);
    });
  });
  return files;
}

}  // namespace softmoe
