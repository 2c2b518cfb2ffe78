#include <fmt/format.h>

#include "checkpoints/convert/write_foreign.h"
#include "checkpoints/load_into.h"
#include "checkpoints/model_checkpoint.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/open_model.h"
#include "core/counted.h"
#include "core/error.h"
#include "core/table.h"
#include "onnx/onnx_model.h"
#include "vit/zoo.h"

namespace softmoe::cli {
namespace {

struct ExportFlags {
  std::string format = "auto";
  bool untrained = false;

  bool operator==(const ExportFlags&) const = default;
};

void describe(OptionTable& table, ExportFlags& flags) {
  table.add("format", flags.format, "of OUT; auto: by its name (.onnx, .safetensors)",
            {.choices = {"auto", "onnx", "safetensors"}});
  table.add("untrained", flags.untrained,
            "CHECKPOINT names a model of the zoo, which gets random weights: to compare how fast "
            "programs run it");
}

/// Whether OUT is an ONNX model; otherwise it is safetensors.
bool writes_onnx(const ExportFlags& flags, const std::string& output) {
  if (flags.format != "auto") {
    return flags.format == "onnx";
  }
  const auto extension = std::filesystem::path(output).extension();
  if (extension != ".onnx" && extension != ".safetensors") {
    throw UsageError("OUT", "a name that ends with .onnx or .safetensors, or --format",
                     "'" + output + "'");
  }
  return extension == ".onnx";
}

/// Options of ONNX models alone mean nothing elsewhere.
void check_safetensors_flags(const CommandLine& line) {
  for (const char* name : {"preprocess", "features", "batch-size", "opset", "external-data"}) {
    if (line.given(name)) {
      throw UsageError(fmt::format("--{} is for ONNX models, OUT is safetensors", name));
    }
  }
}

/// The model `name` of the zoo with its initial weights.
LoadedWeights untrained_model(const std::string& name) {
  const auto options = model_preset(name);
  return {.weights = named_tensors(*make_model(options, /*seed=*/0)),
          .description = {.name = name,
                          .options = options,
                          .class_names = {},
                          .preprocess = default_preprocess(options)},
          .metadata = {}};
}

/// The weights of `checkpoint` as they are there: no model is made of them.
LoadedWeights stored_model(const std::string& checkpoint) {
  auto loaded = open_weights(checkpoint, torch::kCPU);
  check_fit(*unfilled_model(loaded.description.options), loaded.weights, checkpoint);
  note_odd_values(loaded.weights, checkpoint);
  return loaded;
}

OnnxFiles export_onnx(const LoadedWeights& loaded, const std::string& checkpoint,
                      const std::string& output, const OnnxOptions& options) {
  if (options.preprocess) {
    stored_preprocess(loaded.description, checkpoint);  // throws where its values are bad
  }
  auto graph = onnx_model(loaded.description, loaded.weights, options);
  graph.set_metadata("checkpoint", valid_utf8(checkpoint));
  return write_onnx(graph, output, options.external_data);
}

/// Converts the weights in their places, so that they are not there twice.
void export_safetensors(LoadedWeights& loaded, const std::string& checkpoint,
                        const std::string& output, WeightType type) {
  for (auto& [name, tensor] : loaded.weights) {
    if (tensor.is_floating_point()) {
      tensor = as_weight_type(tensor, type, checkpoint + ": " + name);
    }
  }
  write_foreign_model(output, TensorFormat::kSafetensors, find_family("ours"), loaded.description,
                      loaded.weights);
}

/// 0 for what has no length, such as a pipe.
int64_t bytes_of(const std::filesystem::path& path) {
  std::error_code no_file;
  const auto bytes = std::filesystem::file_size(path, no_file);
  return no_file ? 0 : static_cast<int64_t>(bytes);
}

}  // namespace

void run_export(const std::vector<std::string>& arguments) {
  ExportFlags flags;
  OnnxOptions options;
  std::vector<std::string> paths;
  CommandLine line("export",
                   "Write the model of a checkpoint for other programs: as ONNX with standard "
                   "operators alone, for ONNX Runtime, OpenVINO and others, or its weights as "
                   "safetensors. Labels, normalisation and the options of the model go along.");
  line.add("Export", flags);
  line.add("Model", options);
  line.add_positionals({.name = "CHECKPOINT OUT",
                        .meaning = "the model, as training saved it or as softmoe convert reads "
                                   "it, and the file to write"},
                       paths);
  if (!line.parse(arguments)) {
    return;
  }
  if (paths.size() != 2) {
    throw UsageError("export", "CHECKPOINT and OUT", counted(std::ssize(paths), "name"));
  }
  const auto& checkpoint = paths[0];
  const bool onnx = writes_onnx(flags, paths[1]);
  if (!onnx) {
    check_safetensors_flags(line);
  }
  auto loaded = flags.untrained ? untrained_model(checkpoint) : stored_model(checkpoint);
  OnnxFiles files{.model = paths[1], .data = {}};
  if (onnx) {
    files = export_onnx(loaded, checkpoint, paths[1], options);
  } else {
    export_safetensors(loaded, checkpoint, paths[1], options.dtype);
  }
  Json sizes = Json::object();
  for (const auto& path : {files.model, files.data}) {
    if (!path.empty()) {
      sizes[path.string()] = bytes_of(path);
      fmt::print("{}: {}\n", path.string(), format_bytes(bytes_of(path)));
    }
  }
  line.write_json({{"output", paths[1]},
                   {"format", onnx ? "onnx" : "safetensors"},
                   {"bytes", sizes},
                   {"model", options_to_json(loaded.description.options)}});
}

}  // namespace softmoe::cli
