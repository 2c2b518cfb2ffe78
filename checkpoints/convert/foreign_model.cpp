#include "checkpoints/convert/foreign_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include "checkpoints/convert/guess_options.h"
#include "checkpoints/convert/read_config.h"
#include "core/error.h"
#include "io/bounded_json.h"
#include "io/mapped_file.h"
#include "vit/cost.h"
#include "vit/zoo.h"

namespace softmoe {
namespace {

std::string sizes_text(const torch::Tensor& tensor) {
  return fmt::format("[{}]", fmt::join(tensor.sizes(), ", "));
}

/// The zoo's name of a model, or that of its file.
std::string zoo_or_file_name(const VitOptions& options, const std::filesystem::path& path) {
  for (const auto& name : zoo_names()) {
    const auto preset = model_preset(name);
    if (preset.dim == options.dim && preset.depth == options.depth &&
        preset.mlp_dim == options.mlp_dim && preset.mlp_layer == options.mlp_layer &&
        preset.patch_size == options.patch_size && preset.moe_blocks == options.moe_blocks &&
        preset.moe.experts == options.moe.experts &&
        preset.moe.slots_per_expert == options.moe.slots_per_expert) {
      return name;
    }
  }
  // Files of Hugging Face are all called alike; their folders tell them apart.
  const auto stem = path.stem().string();
  const auto folder = path.parent_path().filename().string();
  const bool is_usual = stem == "model" || stem == "pytorch_model" || stem.ends_with(".index");
  return is_usual && !folder.empty() ? folder : stem;
}

/// The config of a file, where it is one of the family's kind, with the preprocessor's in it.
Json config_of(const TensorFile& file, const Family& family) {
  const bool is_hf = family.naming == "huggingface";
  const bool belongs =
      file.config.is_object() && ((is_hf && file.config.contains("model_type")) ||
                                  (family.name == "timm" && file.config.contains("architecture")));
  if (!belongs) {
    return nullptr;
  }
  auto config = file.config;
  const auto path = file.path.parent_path() / "preprocessor_config.json";
  std::error_code error;
  if (is_hf && std::filesystem::is_regular_file(path, error)) {
    config["preprocessor"] = parse_sorted_json(MappedFile::open(path)->bytes(), path.string());
  }
  return config;
}

/// How the code of a family resizes positions: DINOv2's smooths what it shrinks where it has
/// registers.
PositionResize usual_resize(const Family& family, const NamedTensors& weights) {
  const bool is_dinov2 = family.name.find("dinov2") != std::string_view::npos;
  return is_dinov2 && weights.contains("reg_token") ? PositionResize::kBicubicAntialias
                                                    : family.resize;
}

/// Every head's tensors.
bool belongs_to_head(const std::string& name) {
  return name.starts_with("head.") || name.starts_with("head_dist.");
}

/// Takes tensors whose names match one of `patterns` out of `tensors`; returns their names.
std::vector<std::string> take_out(NamedTensors& tensors, const std::vector<std::string>& patterns,
                                  const std::string& where) {
  std::vector<std::string> names;
  for (const auto& pattern : patterns) {
    const auto removed = std::erase_if(tensors, [&](const auto& item) {
      const bool matches = ::fnmatch(pattern.c_str(), item.first.c_str(), 0) == 0;
      if (matches) {
        names.push_back(item.first);
      }
      return matches;
    });
    if (removed == 0) {
      throw UsageError("--leave-out", "names of tensors of " + where, "'" + pattern + "'");
    }
  }
  return names;
}

/// A checkpoint of our own.
ForeignModel native_model(TensorFile file) {
  ForeignModel model;
  model.description = model_description(file.config, file.path);
  model.weights = std::move(file.tensors);
  model.family = "ours";
  return model;
}

/// A file that describes its model leaves nothing to be said about it. Throws where a hint differs.
void check_hints(const ForeignHints& hints, const ForeignModel& model, const std::string& where) {
  const auto check = [&where](const char* flag, const std::string& hint, const std::string& found) {
    if (!hint.empty() && hint != found) {
      throw UsageError(where + ": " + flag,
                       (found.empty() ? "none" : found) + ", as the file itself says", hint);
    }
  };
  check("--family", hints.family, model.family);
  check("--prefix", hints.prefix, model.prefix);
  check("--leave-out", fmt::format("{}", fmt::join(hints.leave_out, " ")), "");
  const auto& options = model.description.options;
  const auto size = fmt::format("{} {}", options.image_height(), options.image_width());
  const bool is_edge = hints.img_size.size() == 1;
  check("--from-img-size",
        is_edge ? fmt::format("{0} {0}", hints.img_size.front())
                : fmt::format("{}", fmt::join(hints.img_size, " ")),
        size);
}

/// The description that a file of ours carries in its metadata.
std::optional<ModelDescription> carried_description(const TensorFile& file) {
  const auto found = file.metadata.find(kDescriptionText);
  if (found == file.metadata.end()) {
    return std::nullopt;
  }
  const auto where = file.path.string() + ": metadata";
  return model_description(parse_sorted_json(found->second, where), where);
}

/// Throws where no model of `options` can be made, or only one that is far larger than `weights`.
void check_consistent(const VitOptions& options, const NamedTensors& weights,
                      const std::string& where) {
  int64_t needed = 0;
  try {
    needed = model_cost(options).parameters();
  } catch (const UsageError& error) {
    throw InputError(where + ": " + error.what());
  }
  int64_t present = 0;
  for (const auto& [name, tensor] : weights) {
    present += tensor.numel();
  }
  constexpr int64_t kSlack = 1 << 20;
  if (needed > 2 * present + kSlack) {
    throw InputError(where + ": tensors do not fit the model", fmt::format("{} parameters", needed),
                     fmt::format("{}", present));
  }
}

void describe_model(ForeignModel& model, const TensorFile& file, const Family& family,
                    const ModelHints& hints) {
  auto& description = model.description;
  description.options =
      guess_options(model.weights, family, hints, file.path.string(), model.choices);
  description.name = zoo_or_file_name(description.options, file.path);
  description.preprocess = guess_preprocess(description.options, family, hints.config,
                                            file.path.string(), model.choices);
  description.class_names = config_class_names(hints.config, description.options.num_classes);
  description.resize_mode = usual_resize(family, model.weights);
}

}  // namespace

ForeignModel read_foreign_model(const std::filesystem::path& path, const ForeignHints& hints) {
  auto file = read_tensor_file(path);
  const auto where = file.path.string();
  const auto format = std::string(tensor_format_name(file.format));
  ForeignModel model;
  if (file.format == TensorFormat::kHdf5) {
    model = native_model(std::move(file));
    model.format = format;
    check_hints(hints, model, where);
    return model;
  }
  auto carried = carried_description(file);
  const auto taken_out =
      carried ? std::vector<std::string>{} : take_out(file.tensors, hints.leave_out, where);
  auto found =
      find_model(file.tensors, carried ? "" : hints.family, carried ? "" : hints.prefix, where);
  const auto& family = *found.family;
  auto renamed = to_our_names(found, where);
  if (hints.drop_head) {
    std::erase_if(renamed.tensors, [](const auto& item) { return belongs_to_head(item.first); });
  }
  model.weights = std::move(renamed.tensors);
  model.format = format;
  model.family = family.name;
  model.prefix = found.prefix;
  model.left_out = found.left_out;
  model.left_out.insert(model.left_out.end(), taken_out.begin(), taken_out.end());
  if (carried) {
    model.description = std::move(*carried);
    check_hints(hints, model, where);
    if (hints.drop_head) {
      model.description.options.num_classes = 0;
      model.description.class_names.clear();
    }
    return model;
  }
  describe_model(model, file, family,
                 {.config = config_of(file, family),
                  .heads = renamed.heads,
                  .img_size = hints.img_size,
                  .has_qkv_bias = renamed.has_qkv_bias});
  return model;
}

void check_weights(const NamedTensors& weights, const VitOptions& options, const Family& family,
                   const std::string& where) {
  check_consistent(options, weights, where);
  const auto model = unfilled_model(options);
  const auto expected = named_tensors(*model);
  const auto described = [&family](const std::string& name) {
    const auto theirs = their_name(family.rows, name);
    return theirs.empty() || theirs == name ? name : fmt::format("{} ({})", theirs, name);
  };
  std::vector<std::string> missing;
  std::vector<std::string> misshapen;
  std::vector<std::string> surplus;
  for (const auto& [name, tensor] : expected) {
    const auto found = weights.find(name);
    if (found == weights.end()) {
      missing.push_back(described(name));
    } else if (found->second.sizes() != tensor.sizes()) {
      misshapen.push_back(fmt::format("{} {} (the model has {})", described(name),
                                      sizes_text(found->second), sizes_text(tensor)));
    } else if (found->second.is_floating_point() != tensor.is_floating_point()) {
      misshapen.push_back(fmt::format("{} of {} (the model has {})", described(name),
                                      c10::toString(found->second.scalar_type()),
                                      tensor.is_floating_point() ? "floating point" : "integers"));
    }
  }
  for (const auto& [name, tensor] : weights) {
    if (!expected.contains(name)) {
      surplus.push_back(described(name));
    }
  }
  std::string problems;
  for (const auto& [title, names] : {std::pair{"missing ", &missing},
                                     {"of another shape or kind ", &misshapen},
                                     {"unknown to the model ", &surplus}}) {
    if (!names->empty()) {
      problems += (problems.empty() ? "" : "; ") + (title + name_list(*names));
    }
  }
  if (!problems.empty()) {
    throw InputError(where + ": tensors do not fit the model: " + problems);
  }
}

}  // namespace softmoe
