#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sstream>

#include "checkpoints/adapt.h"
#include "checkpoints/foreign_model.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/open_model.h"
#include "core/atomic_file.h"
#include "core/counted.h"
#include "core/error.h"
#include "datasets/transforms.h"
#include "vit/cost.h"

namespace softmoe::cli {
namespace {

struct ConvertOptions {
  std::string format = "auto";
  std::string names = "auto";
  std::string family;
  std::string prefix;
  std::vector<int64_t> from_img_size;
  std::string resize_mode;
  std::string class_names;

  bool operator==(const ConvertOptions&) const = default;
};

/// The names of the interpolations, and nothing for that of the family.
std::vector<std::string> resize_modes() {
  std::vector<std::string> names;
  for (const auto& [mode, name] : kEnumNames<PositionResize>) {
    names.emplace_back(name);
  }
  return names;
}

std::vector<std::string> family_choices() {
  std::vector<std::string> names;
  for (const auto& family : families()) {
    names.emplace_back(family.name);
  }
  return names;
}

void describe(OptionTable& table, ConvertOptions& options) {
  table.add("format", options.format, "of OUT; auto: by its name (.h5, .safetensors, .npz)",
            {.choices = {"auto", "hdf5", "safetensors", "npz"}});
  table.add("names", options.names,
            "of the tensors in OUT; auto: vmoe in an npz, else ours (timm's, for dense models)",
            {.choices = {"auto", "ours", "timm", "huggingface", "big_vision", "big_vision_scanned",
                         "vision_transformer", "vmoe"}});
  table.add("family", options.family, "what IN is",
            {.choices = family_choices(), .follows = "detected by the names of its tensors"});
  table.add("prefix", options.prefix, "what precedes the names of the model in IN, such as model.",
            {.follows = "found"});
  table.add("from-img-size", options.from_img_size,
            "height and width that the positions in IN are for, where they are no square",
            {.unit = "px", .min = 1, .follows = "by the number of positions"});
  table.add("resize-mode", options.resize_mode,
            "interpolation of positions to another image size; patches of another size go by the "
            "pseudo-inverse of resizing (FlexiViT)",
            {.choices = resize_modes(), .follows = "usual in the family"});
  table.add("class-names", options.class_names, "a text file with the name of a class on each line",
            {.unit = "file"});
}

TensorFormat output_format(const ConvertOptions& options, const std::string& output) {
  const auto extension = std::filesystem::path(output).extension().string();
  if (options.format == "hdf5" ||
      (options.format == "auto" && (extension == ".h5" || extension == ".hdf5"))) {
    return TensorFormat::kHdf5;
  }
  if (options.format == "safetensors" ||
      (options.format == "auto" && extension == ".safetensors")) {
    return TensorFormat::kSafetensors;
  }
  if (options.format == "npz" || (options.format == "auto" && extension == ".npz")) {
    return TensorFormat::kNpz;
  }
  throw UsageError("OUT", "a name that ends with .h5, .safetensors or .npz, or --format",
                   "'" + output + "'");
}

const Family& output_names(const ConvertOptions& options, TensorFormat format,
                           const VitOptions& model) {
  if (options.names == "auto") {
    return find_family(format == TensorFormat::kNpz ? "vmoe" : "ours");
  }
  return output_family(options.names, model);
}

std::vector<std::string> read_class_names(const std::string& path, int64_t num_classes) {
  std::istringstream lines(read_text_file(path));
  std::vector<std::string> names;
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line.back() == '\r') {
      line.pop_back();
    }
    if (!line.empty()) {
      names.push_back(line);
    }
  }
  if (std::ssize(names) != num_classes) {
    throw InputError(path, counted(num_classes, "name of a class", "names of classes"),
                     std::to_string(names.size()));
  }
  return names;
}

/// The parts that adapt_weights() changes are those of the file, all others as the user says.
VitOptions source_options(const VitOptions& file, const VitOptions& to) {
  auto from = to;
  from.img_size = file.img_size;
  from.patch_size = file.patch_size;
  from.in_chans = file.in_chans;
  from.num_classes = file.num_classes;
  from.class_token = file.class_token;
  from.dist_token = file.dist_token;
  from.reg_tokens = file.reg_tokens;
  from.pos_embed_prefix = file.pos_embed_prefix;
  return from;
}

/// Tensors that another choice of pooling or norm calls otherwise, or does not need.
void follow_choices(ForeignModel& model, const VitOptions& to) {
  const auto& from = model.description.options;
  if (from.final_norm != to.final_norm) {
    const bool pooled = to.final_norm == FinalNorm::kPooled;
    for (const std::string leaf : {"weight", "bias"}) {
      auto node = model.weights.extract((pooled ? "norm." : "fc_norm.") + leaf);
      if (!node.empty()) {
        node.key() = (pooled ? "fc_norm." : "norm.") + leaf;
        model.weights.insert(std::move(node));
      }
    }
  }
  if (from.global_pool == GlobalPool::kMap && to.global_pool != GlobalPool::kMap) {
    std::erase_if(model.weights, [&](const auto& item) {
      const bool dropped = item.first.starts_with("attn_pool.");
      if (dropped) {
        model.left_out.push_back(item.first);
      }
      return dropped;
    });
  }
}

/// A model on its way from one file to another.
struct Conversion {
  std::string input;
  std::string output;
  ForeignModel model;  ///< its description becomes that of the result
  AdaptedWeights adapted{};
  PositionResize resize{};
};

void adapt_preprocess(const CommandLine& line, ModelDescription& description) {
  const auto& options = description.options;
  auto preprocess = options_from_json<PreprocessOptions>(description.preprocess, "preprocess");
  line.apply(preprocess);
  const auto channels = static_cast<size_t>(options.in_chans);
  for (auto* values : {&preprocess.mean, &preprocess.std}) {
    if (values->size() != 1 && values->size() != channels) {
      values->assign(1, 0.5);
    }
  }
  preprocess.input_size = {options.in_chans, options.image_height(), options.image_width()};
  description.preprocess = options_to_json(preprocess);
}

/// A head that starts anew has zero weights, as in training.
void add_fresh_head(AdaptedWeights& adapted, const VitOptions& to) {
  for (const auto& name : adapted.fresh) {
    adapted.tensors[name] = name.ends_with("bias")
                                ? torch::full({to.num_classes}, to.head_bias, torch::kFloat32)
                                : torch::zeros({to.num_classes, to.head_inputs()}, torch::kFloat32);
  }
}

void adapt(Conversion& conversion, const CommandLine& line, const ConvertOptions& options) {
  auto& model = conversion.model;
  auto& description = model.description;
  const auto& family = find_family(model.family);
  const auto file = description.options;
  auto to = transfer_options(file);
  line.apply(to);
  follow_choices(model, to);
  const auto from = source_options(file, to);
  check_weights(model.weights, from, family, conversion.input);
  validate(to);

  conversion.resize = model.resize;
  for (const auto& [mode, name] : kEnumNames<PositionResize>) {
    conversion.resize = options.resize_mode == name ? mode : conversion.resize;
  }
  const bool keep_head = to.num_classes == from.num_classes;
  conversion.adapted = adapt_weights(std::move(model.weights), from, to, conversion.resize,
                                     keep_head, conversion.input);
  add_fresh_head(conversion.adapted, to);
  description.options = to;
  if (!keep_head) {
    description.class_names.clear();
  }
  if (!options.class_names.empty()) {
    description.class_names = read_class_names(options.class_names, to.num_classes);
  }
  adapt_preprocess(line, description);
  check_weights(conversion.adapted.tensors, to, family, conversion.input);
}

/// What a model computes beside its weights, in one line.
std::string semantics_text(const ModelDescription& description) {
  const auto& options = description.options;
  const auto& preprocess = description.preprocess;
  const auto numbers = [&preprocess](const char* name) {
    return fmt::format("{:g}", fmt::join(preprocess.at(name).get<std::vector<double>>(), " "));
  };
  const auto positions =
      options.pos_embed == PositionEmbedding::kLearned
          ? fmt::format("learned {}", options.prefix_tokens() == 0 ? "for patches"
                                      : options.pos_embed_prefix   ? "for prefix and patches"
                                                                   : "for patches, prefix without")
          : enum_name(options.pos_embed);
  return fmt::format(
      "{}, norm-eps {:g}, global-pool {}, final-norm {}, positions {}, mean {}, std {}, {}",
      options.mlp_layer == MlpLayer::kSwiGlu ? "mlp-layer swiglu"
                                             : "gelu " + enum_name(options.gelu),
      options.norm_eps, enum_name(options.global_pool), enum_name(options.final_norm), positions,
      numbers("mean"), numbers("std"), preprocess.at("interpolation").get<std::string>());
}

std::string model_text(const ModelDescription& description) {
  const auto& options = description.options;
  const auto cost = model_cost(options);
  return fmt::format("{}: {:.2f} M parameters, {}x{} px, patches of {}, {}, {}, {}",
                     description.name, static_cast<double>(cost.parameters()) / 1e6,
                     options.image_height(), options.image_width(), options.patch_size,
                     counted(options.heads, "head"),
                     counted(options.prefix_tokens(), "prefix token"),
                     counted(options.num_classes, "class", "classes"));
}

void print_result(const Conversion& conversion, const Family& names, TensorFormat format,
                  const std::vector<std::string>& notes) {
  const auto& model = conversion.model;
  fmt::print("{}: {}, family {}{}\n", conversion.input, model.format, model.family,
             model.prefix.empty() ? "" : fmt::format(", after '{}'", model.prefix));
  if (!model.left_out.empty()) {
    fmt::print("  left out: {}\n", name_list(model.left_out));
  }
  for (const auto& choice : model.choices) {
    fmt::print("  {}\n", choice);
  }
  for (const auto& change : conversion.adapted.changed) {
    fmt::print("  changed {}\n", change);
  }
  if (!conversion.adapted.fresh.empty()) {
    fmt::print("  starts anew: {}\n", fmt::join(conversion.adapted.fresh, ", "));
  }
  fmt::print("{}: {}, names of {}\n", conversion.output, tensor_format_name(format), names.name);
  fmt::print("  {}\n  {}\n", model_text(model.description), semantics_text(model.description));
  for (const auto& note : notes) {
    fmt::print("  note: {}\n", note);
  }
}

}  // namespace

void run_convert(const std::vector<std::string>& arguments) {
  ConvertOptions options;
  VitOptions model_options;
  PreprocessOptions preprocess;
  std::vector<std::string> paths;
  CommandLine line("convert",
                   "Weights of timm, Hugging Face, big_vision, vision_transformer and vmoe in and "
                   "out: safetensors, npz, torch.save (read only) and native checkpoints. Prints "
                   "what was found and every choice that outputs depend on; where tensors are "
                   "missing, unknown or of another shape, nothing is written.");
  line.add("Conversion", options);
  line.add_overrides(
      "Model: another image size, patch size, number of channels or classes; every "
      "other option corrects what was found",
      model_options);
  line.add_overrides("Preprocessing, where it is other than the file says", preprocess);
  line.add_positionals({.name = "IN OUT",
                        .meaning = "the file to read (or the folder of one), and the file to write",
                        .required = true},
                       paths);
  if (!line.parse(arguments)) {
    return;
  }
  if (paths.size() != 2) {
    throw UsageError("convert", "IN and OUT",
                     counted(std::ssize(paths), "name of a file", "names of files"));
  }
  Conversion conversion{.input = paths[0], .output = paths[1], .model = {}};
  const auto format = output_format(options, conversion.output);
  const bool drop_head = line.given("num-classes") && model_options.num_classes == 0;
  conversion.model = read_foreign_model(conversion.input, {.family = options.family,
                                                           .prefix = options.prefix,
                                                           .img_size = options.from_img_size,
                                                           .drop_head = drop_head});
  note_odd_values(conversion.model.weights, conversion.input);
  adapt(conversion, line, options);
  const auto& description = conversion.model.description;
  const auto& names = output_names(options, format, description.options);
  const auto notes = write_foreign_model(conversion.output, format, names, description,
                                         conversion.adapted.tensors);
  print_result(conversion, names, format, notes);
  line.write_json({{"input", conversion.input},
                   {"input_format", conversion.model.format},
                   {"family", conversion.model.family},
                   {"prefix", conversion.model.prefix},
                   {"choices", conversion.model.choices},
                   {"left_out", conversion.model.left_out},
                   {"changed", conversion.adapted.changed},
                   {"fresh", conversion.adapted.fresh},
                   {"output", conversion.output},
                   {"output_format", tensor_format_name(format)},
                   {"names", names.name},
                   {"notes", notes},
                   {"model_name", description.name},
                   {"model", options_to_json(description.options)},
                   {"preprocess", description.preprocess}});
}

}  // namespace softmoe::cli
