#include "onnx/onnx_model.h"

#include <cerrno>
#include <fstream>

#include "core/error.h"
#include "core/version.h"
#include "io/atomic_file.h"
#include "io/file_error.h"
#include "onnx/onnx_moe.h"
#include "onnx/onnx_tower.h"

namespace softmoe {
namespace {

/// Logits [batch, num_classes] of the input of the head.
OnnxValue logits_of(OnnxContext& context, const OnnxValue& inputs) {
  auto& graph = context.graph;
  if (!context.options.dist_token) {
    return onnx_linear(context, inputs, "head");
  }
  const auto part = [&](int64_t index) {
    return onnx_gather(graph, inputs, graph.int_scalar(index), 1);  // [batch, head_inputs]
  };
  const auto sum = graph.node(
      "Add", {onnx_linear(context, part(0), "head"), onnx_linear(context, part(1), "head_dist")});
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
  const auto inputs = onnx_image_features(context, description, options.preprocess);
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
