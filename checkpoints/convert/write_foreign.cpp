/// Models under the names of other libraries.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <span>

#include "checkpoints/convert/foreign_config.h"
#include "checkpoints/convert/foreign_model.h"
#include "checkpoints/convert/preprocessor.h"
#include "checkpoints/convert/read_config.h"
#include "checkpoints/surgery/adapt.h"
#include "core/error.h"
#include "io/atomic_file.h"

namespace softmoe {
namespace {

constexpr const char* kConfigName = "config.json";

/// The Hugging Face family that has the parts of a model.
std::string_view huggingface_family(const VitOptions& options) {
  if (options.dist_token) {
    return "hf_deit_distilled";
  }
  if (options.pre_norm) {
    return "hf_clip";
  }
  if (!options.class_token) {
    return "hf_siglip";
  }
  if (options.layer_scale > 0) {
    return options.mlp_layer == MlpLayer::kSwiGlu ? "hf_dinov2_swiglu" : "hf_dinov2";
  }
  return options.reg_tokens == 1 ? "hf_deit" : "hf_vit";
}

bool is_flax(const Family& family) { return family.anchor.find('/') != std::string_view::npos; }

/// What the code of a family pools by in a model with these parts; nothing where its config or the
/// parts themselves choose.
std::optional<GlobalPool> their_pool(const Family& family, const VitOptions& options) {
  if (is_flax(family)) {
    return options.class_token ? std::optional(GlobalPool::kToken) : std::nullopt;
  }
  const bool has_head = options.num_classes > 0;
  if (family.name == "hf_siglip") {
    return has_head ? std::optional(GlobalPool::kAvg) : std::nullopt;
  }
  if (family.naming == "huggingface" || family.naming == "dinov2") {
    const bool reads_both = family.name.starts_with("hf_dinov2") && has_head;
    return reads_both ? GlobalPool::kTokenAvg : GlobalPool::kToken;
  }
  return std::nullopt;
}

void check_pooling(const Family& family, const VitOptions& options, const std::string& where) {
  const bool wants_class_token =
      family.naming == "dinov2" || (family.naming == "huggingface" && family.name != "hf_siglip");
  if (wants_class_token && !options.class_token) {
    throw InputError(where + ": class-token", fmt::format("true, as {} has", family.name), "false");
  }
  const auto found = enum_name(options.global_pool);
  if (family.name == "timm" && options.global_pool == GlobalPool::kTokenAvg) {
    throw InputError(where + ": global-pool", "a pooling that timm has", found);
  }
  const auto theirs = their_pool(family, options);
  // Without a head the code of Hugging Face gives all tokens too.
  const bool matters = is_flax(family) || options.num_classes > 0;
  if (theirs && *theirs != options.global_pool && matters) {
    throw InputError(
        where + ": global-pool",
        fmt::format("{}, as {} has {}", enum_name(*theirs), family.name,
                    is_flax(family) ? "where there is a class token"
                                    : "under a head (--num-classes 0 leaves the head out)"),
        found);
  }
}

/// Throws where the code of a family computes something else with the weights of such a model.
void check_expressible(const Family& family, const VitOptions& options, const std::string& where) {
  if (family.naming == "ours") {
    return;
  }
  const bool gated = options.mlp_layer == MlpLayer::kSwiGlu;
  const bool only_gated = family.name.ends_with("dinov2_swiglu");
  if (gated ? !only_gated && family.name != "timm" : only_gated) {
    throw InputError(where + ": mlp-layer",
                     fmt::format("{}, as {} has", only_gated ? "swiglu" : "mlp", family.name),
                     enum_name(options.mlp_layer));
  }
  if (only_gated && options.mlp_dim % 8 != 0) {
    throw InputError(where + ": mlp-dim", fmt::format("a multiple of 8, as {} has", family.name),
                     std::to_string(options.mlp_dim));
  }
  check_pooling(family, options, where);
  const bool wants_square = family.name == "hf_siglip" || family.name == "hf_clip" ||
                            family.name.find("dinov2") != std::string_view::npos;
  if (wants_square && options.image_height() != options.image_width()) {
    throw InputError(where + ": img-size", fmt::format("a square, as {} has", family.name),
                     fmt::format("{}x{}", options.image_height(), options.image_width()));
  }
  const auto& router = options.moe.router;
  if (has_moe(options) && router != "soft" && router != "tokens_choice" &&
      router != "experts_choice") {
    throw InputError(where + ": router",
                     fmt::format("soft, tokens_choice or experts_choice, as {} has", family.name),
                     router);
  }
}

/// Whether the code of a family knows learned positions alone, and a model has others.
bool has_unknown_positions(const Family& family, const VitOptions& options) {
  return options.pos_embed != PositionEmbedding::kLearned && !family.fixed_positions;
}

/// Gives such a model the table of its positions. Prefix tokens have none.
void learn_positions(const Family& family, VitOptions& options, NamedTensors& weights) {
  if (!has_unknown_positions(family, options)) {
    return;
  }
  options.pos_embed = PositionEmbedding::kLearned;
  options.pos_embed_prefix = options.prefix_tokens() == 0;
  weights["pos_embed"] = fixed_positions(options);  // [1, patches, dim]
}

/// Gives patches the bias that the code of a family wants, zeros, or drops one that does nothing.
void fit_patch_bias(const Family& family, VitOptions& options, NamedTensors& weights,
                    const std::string& where) {
  const std::string name = "patch_embed.proj.bias";
  const bool wants = family.name == "timm" ? !options.pre_norm : family.name != "hf_clip";
  if (family.naming == "ours" || wants == options.patch_bias) {
    return;
  }
  if (wants) {
    const auto& patches = weights.at("patch_embed.proj.weight");
    weights[name] = torch::zeros({options.dim}, patches.options());
  } else if (weights.at(name).ne(0).any().item<bool>()) {
    throw InputError(where + ": " + name,
                     fmt::format("zeros: {} has no bias before a norm", family.name), "others");
  } else {
    weights.erase(name);
  }
  options.patch_bias = wants;
}

/// What stands before the names of the body in a Hugging Face file; heads stand alone.
std::string_view body_prefix(const Family& family, const VitOptions& options) {
  if (family.name == "hf_clip" || family.name == "hf_siglip") {
    return "vision_model.";
  }
  if (options.num_classes == 0) {
    return "";
  }
  if (family.name.starts_with("hf_dinov2")) {
    return options.reg_tokens > 0 ? "dinov2_with_registers." : "dinov2.";
  }
  return family.name == "hf_vit" ? "vit." : "deit.";
}

bool is_their_head(const std::string& name) {
  return name.find("classifier.") != std::string::npos || name == "visual_projection.weight";
}

NamedTensors with_body_prefix(NamedTensors tensors, const Family& family,
                              const VitOptions& options) {
  NamedTensors result;
  const std::string prefix(body_prefix(family, options));
  for (auto& [name, tensor] : tensors) {
    result[is_their_head(name) ? name : prefix + name] = tensor;
  }
  return result;
}

/// Adds a note where the pixels that a model takes are others than those of its family.
void note_pixels(const Family& family, const Json& preprocess, std::vector<std::string>& notes) {
  for (const auto& [name, theirs] :
       {std::pair{"mean", &family.pixels.mean}, {"std", &family.pixels.std}}) {
    const auto values =
        config_field<std::vector<double>>(preprocess, name).value_or(std::vector{0.5});
    bool same = true;
    for (size_t channel = 0; channel < std::max(values.size(), theirs->size()); ++channel) {
      same = same && !values.empty() &&
             values[channel % values.size()] == (*theirs)[channel % theirs->size()];
    }
    if (!same) {
      notes.push_back(fmt::format("{} is {:g}, {}'s code has {:g}", name, fmt::join(values, " "),
                                  family.name, fmt::join(*theirs, " ")));
    }
  }
}

/// A text file to be written.
struct ConfigFile {
  std::filesystem::path path;
  std::string text;
};

/// Those of config_files().
std::vector<ConfigFile> config_texts(const std::vector<std::filesystem::path>& paths,
                                     const Family& family, const ModelDescription& description) {
  std::vector<ConfigFile> configs;
  for (const auto& path : paths) {
    const auto config = path.filename() != kConfigName   ? huggingface_preprocessor(description)
                        : family.naming == "huggingface" ? huggingface_config(family, description)
                                                         : timm_config(description);
    configs.push_back({path, json_text(config, 2) + "\n"});
  }
  return configs;
}

/// Writes `configs` and calls `write`: all of them get their places, or none does.
void write_with(std::span<const ConfigFile> configs, const std::function<void()>& write) {
  if (configs.empty()) {
    write();
    return;
  }
  write_text_file(configs.front().path, configs.front().text,
                  [&] { write_with(configs.subspan(1), write); });
}

}  // namespace

const Family& output_family(const std::string& naming, const VitOptions& options) {
  if (naming == "huggingface") {
    return find_family(std::string(huggingface_family(options)));
  }
  if (naming == "dinov2" && options.mlp_layer == MlpLayer::kSwiGlu) {
    return find_family("dinov2_swiglu");
  }
  return find_family(naming);
}

std::vector<std::filesystem::path> config_files(const std::filesystem::path& path,
                                                TensorFormat format, const Family& family) {
  if (format != TensorFormat::kSafetensors) {
    return {};
  }
  const auto folder = path.parent_path();
  if (family.naming == "huggingface") {
    return {folder / kConfigName, folder / "preprocessor_config.json"};
  }
  return family.name == "timm" ? std::vector{folder / kConfigName}
                               : std::vector<std::filesystem::path>{};
}

std::vector<std::string> reader_notes(TensorFormat format, const Family& family,
                                      const ModelDescription& description) {
  const bool has_files = format == TensorFormat::kSafetensors;  // configs stand beside it
  const auto& options = description.options;
  std::vector<std::string> notes;
  const bool has_config = (family.naming == "huggingface" && has_files) || family.naming == "ours";
  const bool tells_most = has_config || (family.name == "timm" && has_files);
  const bool floors = description.preprocess.value("crop-floor", false);
  if (has_files && floors != (family.naming == "huggingface") && family.naming != "ours" &&
      !squeezes_images(description) && description.preprocess.value("crop-pct", 1.0) < 1.0) {
    notes.push_back(fmt::format("crop-floor is {}, {}'s code has {}: a pixel, for some image sizes",
                                floors, family.name, !floors));
  }
  // A file of timm's with a config names an architecture that has the eps.
  const double clip_eps = find_family("hf_clip").norm_eps;
  const bool is_clip =
      family.name == "timm" && options.pre_norm && (!has_files || options.norm_eps == clip_eps);
  const double eps = is_clip ? clip_eps : family.norm_eps;
  if (!has_config && options.norm_eps != eps) {
    notes.push_back(
        fmt::format("norm-eps is {:g}, {}'s code has {:g}", options.norm_eps, family.name, eps));
  }
  const bool has_gelu = options.mlp_layer == MlpLayer::kMlp;
  if (!tells_most && has_gelu && options.gelu != family.gelu) {
    notes.push_back(fmt::format("gelu is {}, {}'s code has {}", enum_name(options.gelu),
                                family.name, enum_name(family.gelu)));
  }
  if (!tells_most) {
    note_pixels(family, description.preprocess, notes);
  }
  if (family.name == "vmoe" && has_moe(options) && options.moe.router == "experts_choice") {
    notes.emplace_back("router experts_choice, which tensors do not tell from tokens_choice");
  }
  if (family.name == "timm" && options.pre_logits > 0) {
    notes.emplace_back("pre-logits, which timm's code of today does not have");
  }
  if (has_unknown_positions(family, options)) {
    notes.emplace_back("fixed positions are written as a table, as if learned");
  }
  if (const auto pool = their_pool(family, options); pool && *pool != options.global_pool) {
    notes.push_back(fmt::format("global-pool is {}, {}'s code has {}",
                                enum_name(options.global_pool), family.name, enum_name(*pool)));
  }
  if (family.naming != "ours" && family.name != "timm" &&
      options.final_norm == FinalNorm::kPooled) {
    notes.push_back(fmt::format("final-norm is pooled, {}'s code has it on tokens", family.name));
  }
  return notes;
}

void write_foreign_model(const std::filesystem::path& path, TensorFormat format,
                         const Family& family, const ModelDescription& description,
                         const NamedTensors& weights) {
  const auto where = path.string();
  if (format == TensorFormat::kHdf5) {
    if (family.name != "ours") {
      throw UsageError("--names", "ours in a native checkpoint", std::string(family.name));
    }
    Checkpoint checkpoint;
    checkpoint.metadata = to_metadata(description);
    checkpoint.model = weights;
    save_checkpoint(path, checkpoint);
    return;
  }
  if (format == TensorFormat::kTorch) {
    throw UsageError("--format", "hdf5, safetensors or npz", "torch");
  }
  check_expressible(family, description.options, where);
  auto from = description.options;
  auto there = weights;
  learn_positions(family, from, there);
  fit_patch_bias(family, from, there, where);
  // Positions that were not there are zero: that changes nothing but the shape.
  auto to = from;
  to.pos_embed_prefix = to.pos_embed_prefix || family.prefix_positions;
  auto adapted = adapt_weights(std::move(there), from, to, description.resize_mode,
                               /*keep_head=*/true, where);
  auto tensors = to_family_names(adapted.tensors, family, to.heads, where);
  if (family.naming == "huggingface") {
    tensors = with_body_prefix(std::move(tensors), family, to);
  }
  auto written = description;
  written.options = to;
  if (format == TensorFormat::kNpz) {
    write_npz(path, tensors);
  } else {
    write_with(config_texts(config_files(path, format, family), family, written), [&] {
      write_safetensors(path, tensors,
                        {{"format", "pt"}, {kDescriptionText, json_text(to_metadata(written))}});
    });
  }
}

}  // namespace softmoe
