#include <fmt/format.h>

#include "checkpoints/convert/write_foreign.h"
#include "checkpoints/image_text_checkpoint.h"
#include "checkpoints/load_into.h"
#include "checkpoints/model_checkpoint.h"
#include "checkpoints/open_model.h"
#include "cli/checkpoint_flags.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/print_line.h"
#include "core/error.h"
#include "core/text_format.h"
#include "onnx/onnx_image_text.h"
#include "onnx/onnx_model.h"
#include "vit/zoo.h"

namespace softmoe::cli {
namespace {

struct ExportFlags {
  std::string checkpoint;
  std::string output;
  std::string format = "auto";
  std::string tower = "none";
  bool untrained = false;

  bool operator==(const ExportFlags&) const = default;
};

void describe(OptionTable& table, ExportFlags& flags) {
  describe_checkpoint(table, flags.checkpoint);
  table.add("output", flags.output, "the file to write", {.unit = "file"});
  table.add("format", flags.format, "format of OUTPUT; auto: by its name (.onnx, .safetensors)",
            {.choices = {"auto", "onnx", "safetensors"}});
  table.add("tower", flags.tower,
            "of a model of images and texts: the tower to write as ONNX, which gives embeddings of "
            "length 1",
            {.choices = {"none", "image", "text"}});
  table.add("untrained", flags.untrained,
            "CHECKPOINT is the name of a model of the zoo, which gets random weights: to compare "
            "the speed of programs");
}

/// Returns true if OUTPUT is an ONNX model, false if it is safetensors.
bool writes_onnx(const ExportFlags& flags) {
  if (flags.format != "auto") {
    return flags.format == "onnx";
  }
  const auto extension = std::filesystem::path(flags.output).extension();
  if (extension != ".onnx" && extension != ".safetensors") {
    throw UsageError("OUTPUT", "a name that ends with .onnx or .safetensors, or --format",
                     "'" + flags.output + "'");
  }
  return extension == ".onnx";
}

/// Throws UsageError for options that only ONNX models have.
void check_safetensors_flags(const CommandLine& line) {
  for (const char* name : {"preprocess", "features", "batch-size", "opset", "external-data"}) {
    if (line.given(name)) {
      throw UsageError(fmt::format("--{} is for ONNX models, OUTPUT is safetensors", name));
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

/// The weights of `checkpoint`, without a model.
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

/// Converts the weights one by one, so that memory does not hold all of them twice.
void export_safetensors(LoadedWeights& loaded, const std::string& checkpoint,
                        const std::string& output, Precision precision) {
  for (auto& [name, tensor] : loaded.weights) {
    if (tensor.is_floating_point()) {
      tensor = in_precision(tensor, precision, checkpoint + ": " + name);
    }
  }
  write_foreign_model(output, TensorFormat::kSafetensors, find_family("ours"), loaded.description,
                      loaded.weights);
}

/// Writes one tower of a model of images and texts; returns the options of the model.
Json export_tower(const ExportFlags& flags, const OnnxOptions& options, OnnxFiles& files) {
  if (!writes_onnx(flags) || flags.untrained) {
    throw UsageError("--tower is for ONNX models of checkpoints");
  }
  const auto loaded = load_image_text_weights(flags.checkpoint);
  const auto write = flags.tower == "image" ? onnx_image_tower : onnx_text_tower;
  auto graph = write(loaded.description, loaded.weights, options);
  graph.set_metadata("checkpoint", valid_utf8(flags.checkpoint));
  files = write_onnx(graph, flags.output, options.external_data);
  return options_to_json(loaded.description.options);
}

/// The length of a file, 0 if it has none, such as a pipe.
int64_t bytes_of(const std::filesystem::path& path) {
  std::error_code no_file;
  const auto bytes = std::filesystem::file_size(path, no_file);
  return no_file ? 0 : static_cast<int64_t>(bytes);
}

}  // namespace

void run_export(const std::vector<std::string>& arguments) {
  ExportFlags flags;
  OnnxOptions options;
  CommandLine line("export",
                   "Write the model of a checkpoint for other programs: as ONNX with standard "
                   "operators only, for ONNX Runtime, OpenVINO and others, or its weights as "
                   "safetensors. The file also has labels, normalisation and the model's options.");
  line.add("Export", flags);
  line.add("Model", options);
  line.add_operand("checkpoint");
  line.add_operand("output");
  if (!line.parse(arguments)) {
    return;
  }
  const auto& [checkpoint, output] = std::tie(flags.checkpoint, flags.output);
  if (!flags.untrained) {
    check_output(checkpoint, output);
  }
  const bool onnx = writes_onnx(flags);
  if (!onnx) {
    check_safetensors_flags(line);
  }
  OnnxFiles files{.model = output, .data = {}};
  Json model;
  if (flags.tower != "none") {
    model = export_tower(flags, options, files);
  } else {
    auto loaded = flags.untrained ? untrained_model(checkpoint) : stored_model(checkpoint);
    model = options_to_json(loaded.description.options);
    if (onnx) {
      files = export_onnx(loaded, checkpoint, output, options);
    } else {
      export_safetensors(loaded, checkpoint, output, options.dtype);
    }
  }
  Json sizes = Json::object();
  for (const auto& path : {files.model, files.data}) {
    if (!path.empty()) {
      sizes[path.string()] = bytes_of(path);
      print_line("{}: {}", path.string(), format_bytes(bytes_of(path)));
    }
  }
  line.write_json({{"output", output},
                   {"format", onnx ? "onnx" : "safetensors"},
                   {"bytes", sizes},
                   {"model", model}});
}

}  // namespace softmoe::cli
