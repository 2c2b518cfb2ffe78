#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "checkpoints/conversion.h"
#include "checkpoints/convert/image_text_families.h"
#include "checkpoints/convert/reader_notes.h"
#include "checkpoints/convert/write_foreign.h"
#include "checkpoints/open_model.h"
#include "checkpoints/surgery/resize_options.h"
#include "cli/checkpoint_flags.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/convert_towers.h"
#include "cli/print_line.h"
#include "core/error.h"
#include "core/pluralize.h"
#include "vit/cost.h"

namespace softmoe::cli {
namespace {

struct ConvertOptions {
  std::string checkpoint;
  std::string output;
  std::string format = "auto";
  std::string names = "auto";
  std::string towers = "image";
  std::string family;
  std::string prefix;
  std::vector<std::string> leave_out;
  std::vector<int64_t> from_img_size;
  ResizeOptions resize;
  std::string class_names;

  bool operator==(const ConvertOptions&) const = default;
};

std::vector<std::string> family_choices() {
  std::vector<std::string> names;
  for (const auto& family : families()) {
    names.emplace_back(family.name);
  }
  return names;
}

std::vector<std::string> naming_choices() {
  auto names = namings();
  for (const auto& name : image_text_namings()) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      names.push_back(name);
    }
  }
  names.insert(names.begin(), "auto");
  return names;
}

/// Formats that are written.
std::vector<std::string> format_choices() {
  std::vector<std::string> names{"auto"};
  for (const auto& row : tensor_formats()) {
    if (!row.extensions.empty()) {
      names.emplace_back(row.name);
    }
  }
  return names;
}

void describe(OptionTable& table, ConvertOptions& options) {
  table.add("checkpoint", options.checkpoint, "the file to read, or the folder that holds it",
            {.unit = "file"});
  table.add("output", options.output, "the file to write", {.unit = "file"});
  table.add("format", options.format,
            "format of OUTPUT; auto: by its name (.h5, .safetensors, .npz)",
            {.choices = format_choices()});
  table.add(
      "names", options.names,
      "names of the tensors in OUTPUT; auto: vmoe in an npz, else ours (timm's, for dense models). "
      "Beside a safetensors file, timm writes config.json, huggingface config.json and "
      "preprocessor_config.json",
      {.choices = naming_choices()});
  table.add("towers", options.towers,
            "what to take from a model of images and texts: its image tower, or both towers, which "
            "--names huggingface, open_clip or ours write",
            {.choices = {"image", "both"}});
  table.add("family", options.family, "what CHECKPOINT is",
            {.choices = family_choices(), .follows = "detected by the names of its tensors"});
  table.add("prefix", options.prefix,
            "what precedes the names of the model in CHECKPOINT, such as model.; tensors elsewhere "
            "are left "
            "out then",
            {.follows = "found"});
  table.add("leave-out", options.leave_out,
            "tensors of CHECKPOINT that are not part of the model, by name or pattern such as "
            "'decoder_*'",
            {.follows = "what is known not to be"});
  table.add(
      "from-img-size", options.from_img_size,
      "height and width of the image that the positions in CHECKPOINT are for, if it is no square",
      {.unit = "px", .min = 1, .follows = "by the number of positions"});
  describe(table, options.resize);
  table.add("class-names", options.class_names, "a text file with one name of a class per line",
            {.unit = "file"});
}

TensorFormat output_format(const ConvertOptions& options) {
  const auto extension = std::filesystem::path(options.output).extension().string();
  for (const auto& row : tensor_formats()) {
    const auto& extensions = row.extensions;
    const bool is_named = options.format == row.name;
    const bool is_meant =
        options.format == "auto" &&
        std::find(extensions.begin(), extensions.end(), extension) != extensions.end();
    if (is_named || is_meant) {
      return row.format;
    }
  }
  throw UsageError("OUTPUT", "a name that ends with .h5, .safetensors or .npz, or --format",
                   "'" + options.output + "'");
}

const Family& output_names(const ConvertOptions& options, TensorFormat format,
                           const VitOptions& model) {
  if (options.names == "auto") {
    return find_family(std::string(format_row(format).usual_family));
  }
  return output_family(options.names, model);
}

/// The choices of a model that its weights do not show, in one line.
std::string semantics_text(const ModelDescription& description) {
  const auto& options = description.options;
  const auto& preprocess = description.preprocess.value();
  const auto positions =
      options.pos_embed == PositionEmbedding::kLearned
          ? fmt::format("learned {}, resized {}",
                        options.prefix_tokens() == 0 ? "for patches"
                        : options.pos_embed_prefix   ? "for prefix and patches"
                                                     : "for patches, prefix without",
                        enum_name(description.resize_mode))
          : enum_name(options.pos_embed);
  return fmt::format(
      "{}, norm-eps {:g}, global-pool {}, final-norm {}, positions {}, mean {:g}, std {:g}, {}",
      options.mlp_layer == MlpLayer::kSwiGlu ? "mlp-layer swiglu"
                                             : "gelu " + enum_name(options.gelu),
      options.norm_eps, enum_name(options.global_pool), enum_name(options.final_norm), positions,
      fmt::join(preprocess.mean, " "), fmt::join(preprocess.std, " "),
      enum_name(preprocess.interpolation));
}

std::string model_text(const ModelDescription& description) {
  const auto& options = description.options;
  const auto cost = model_cost(options);
  return fmt::format("{}: {:.2f} M parameters, {}x{} px, patches of {}, {}, {}, {}",
                     description.name, static_cast<double>(cost.parameters()) / 1e6,
                     options.image_height(), options.image_width(), options.patch_size,
                     pluralize(options.heads, "head"),
                     pluralize(options.prefix_tokens(), "prefix token"),
                     pluralize(options.num_classes, "class", "classes"));
}

/// Throws UsageError if the user gave preprocessing that a model of these options cannot have.
void check_given(const CommandLine& line, const PreprocessOptions& preprocess,
                 const VitOptions& options) {
  const auto size = input_size(options);
  if (line.given("input-size") && preprocess.input_size != size) {
    throw UsageError(
        "--input-size",
        fmt::format("{}, as follows from --in-chans and --img-size", fmt::join(size, " ")),
        fmt::format("{}", fmt::join(preprocess.input_size, " ")));
  }
  for (const auto& [name, values] :
       {std::pair{"mean", &preprocess.mean}, {"std", &preprocess.std}}) {
    const auto count = std::ssize(*values);
    if (line.given(name) && count != 1 && count != options.in_chans) {
      throw UsageError(fmt::format("--{}", name),
                       options.in_chans == 1
                           ? "one value for one channel"
                           : fmt::format("one value or {}, one per channel", options.in_chans),
                       fmt::format("{} values", count));
    }
  }
}

/// What the flags of `line` change of a model whose description is `found`.
ConversionChanges changes_of(const CommandLine& line, ConvertOptions& options,
                             const ModelDescription& found) {
  return {.options = [&line](VitOptions& to) { line.apply(to); },
          .preprocess =
              [&line](PreprocessOptions& preprocess, const VitOptions& to) {
                line.apply(preprocess);
                check_given(line, preprocess, to);
              },
          .resize_mode = options.resize.resolve(found.resize_mode),
          .class_names = options.class_names};
}

void print_result(const ConvertedModel& converted, const ConvertOptions& options,
                  TensorFormat format, const Family& names,
                  const std::vector<std::string>& config_names,
                  const std::vector<std::string>& notes) {
  const auto& model = converted.model;
  std::string before = options.checkpoint + ": ";
  for (const auto& line : reading_lines(model)) {
    print_line("{}{}", before, line);
    before = "  ";
  }
  for (const auto& choice : model.notes.choices) {
    print_line("  {}", choice);
  }
  for (const auto& change : converted.changed) {
    print_line("  changed {}", change);
  }
  if (!converted.fresh.empty()) {
    print_line("  starts anew: {}", fmt::join(converted.fresh, ", "));
  }
  print_line("{}: {}, names of {}", options.output, format_row(format).title, names.name);
  if (!config_names.empty()) {
    print_line("  with {}", fmt::join(config_names, ", "));
  }
  print_line("  {}", model_text(model.description));
  print_line("  {}", semantics_text(model.description));
  for (const auto& note : notes) {
    print_line("  note: {}", note);
  }
}

}  // namespace

void run_convert(const std::vector<std::string>& arguments) {
  ConvertOptions options;
  VitOptions model_options;
  PreprocessOptions preprocess;
  CommandLine line(
      "convert",
      "Convert weights from and to timm, Hugging Face, DINOv2, big_vision, "
      "vision_transformer, vmoe and open_clip: safetensors, npz, torch.save (read only) and native "
      "checkpoints. Prints what was found and every choice that outputs depend on. If "
      "tensors are missing, unknown or of another shape, nothing is written.");
  line.add("Conversion", options);
  line.add_operand("checkpoint");
  line.add_operand("output");
  line.add_overrides(
      "Model: another image size, patch size, number of channels or classes; every "
      "other option corrects what was found",
      model_options);
  line.add_overrides("Preprocessing, to correct what was found", preprocess);
  if (!line.parse(arguments)) {
    return;
  }
  check_output(options.checkpoint, options.output);
  const auto format = output_format(options);
  if (options.towers == "both") {
    const auto names = options.names == "auto" ? "ours" : options.names;
    convert_towers({.checkpoint = options.checkpoint,
                    .output = options.output,
                    .format = format,
                    .names = names},
                   line);
    return;
  }
  const bool drop_head = line.given("num-classes") && model_options.num_classes == 0;
  auto source = read_foreign_model(options.checkpoint, {.family = options.family,
                                                        .prefix = options.prefix,
                                                        .img_size = options.from_img_size,
                                                        .leave_out = options.leave_out,
                                                        .drop_head = drop_head});
  std::erase_if(source.notes.assumed,
                [&](const Assumption& assumed) { return line.given(assumed.option); });
  note_odd_values(source.weights, options.checkpoint);
  const auto changes = changes_of(line, options, source.description);
  const auto converted = convert_model(std::move(source), options.checkpoint, changes);
  const auto& model = converted.model;
  const auto& description = model.description;
  const auto& names = output_names(options, format, description.options);
  const auto configs = config_files(options.output, format, names);
  check_replaced_configs(configs, options.output, options.checkpoint, model.format);
  const std::vector<std::string> config_names(configs.begin(), configs.end());
  const auto notes = reader_notes(format, names, description);
  const auto write = [&] {
    write_foreign_model(options.output, format, names, description, model.weights);
    print_result(converted, options, format, names, config_names, notes);
  };
  line.write_json({{"input", options.checkpoint},
                   {"input_format", format_row(model.format).title},
                   {"family", model.family},
                   {"prefix", model.prefix},
                   {"choices", all_choices(model.notes)},
                   {"assumed", assumed_text(model.notes.assumed)},
                   {"unused", model.notes.unused},
                   {"left_out", model.left_out},
                   {"changed", converted.changed},
                   {"fresh", converted.fresh},
                   {"output", options.output},
                   {"output_format", format_row(format).title},
                   {"config_files", config_names},
                   {"names", names.name},
                   {"notes", notes},
                   {"model_name", description.name},
                   {"model", options_to_json(description.options)},
                   {"preprocess", options_to_json(*description.preprocess)},
                   {"resize_mode", enum_name(description.resize_mode)}},
                  write);
}

}  // namespace softmoe::cli
