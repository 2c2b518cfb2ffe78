#include "checkpoints/convert/image_text_foreign.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "checkpoints/convert/family_weights.h"
#include "checkpoints/convert/guess_options.h"
#include "checkpoints/convert/guess_preprocess.h"
#include "checkpoints/convert/image_text_configs.h"
#include "checkpoints/convert/model_prefix.h"
#include "checkpoints/convert/other_tensors.h"
#include "checkpoints/convert/preprocessor.h"
#include "checkpoints/load_into.h"
#include "checkpoints/parameter_names.h"
#include "checkpoints/tensor_file.h"
#include "core/error.h"
#include "core/name_list.h"
#include "io/atomic_file.h"
#include "io/bounded_json.h"
#include "io/mapped_file.h"
#include "ops/initialization.h"
#include "vit/cost.h"
#include "vit/image_text_model.h"

namespace softmoe {
namespace {

constexpr std::string_view kImagePart = "image.";
constexpr std::string_view kTextPart = "text.";

/// The tensors of a file by where they belong.
struct TowerTensors {
  NamedTensors image;  ///< without the prefix of the image tower
  NamedTensors rest;
  std::vector<std::string> left_out;
};

TowerTensors towers_of(const NamedTensors& tensors, const ImageTextFamily& family,
                       const std::string& where) {
  TowerTensors parts;
  std::vector<std::string> unmatched;
  for (const auto& [name, tensor] : tensors) {
    if (has_row(family.rows, name)) {
      parts.rest[name] = tensor;
    } else if (!tensor.is_floating_point()) {
      parts.left_out.push_back(name);  // position_ids and the like
    } else if (name.starts_with(family.image_prefix)) {
      parts.image[name.substr(family.image_prefix.size())] = tensor;
    } else {
      unmatched.push_back(name);
    }
  }
  if (!unmatched.empty()) {
    throw InputError(fmt::format("{}: no counterpart of {} (read as family {})", where,
                                 name_list(unmatched), family.name));
  }
  return parts;
}

/// The number of blocks in `weights`, which are numbered from 0.
int64_t depth_of(const NamedTensors& weights, const std::string& where) {
  std::set<int64_t> blocks;
  for (const auto& [name, tensor] : weights) {
    if (const auto parameter = block_parameter(name)) {
      blocks.insert(parameter->block);
    }
  }
  const int64_t depth = std::ssize(blocks);
  if (depth == 0 || *blocks.rbegin() != depth - 1) {
    throw InputError(
        where + ": text tower", "blocks numbered from 0",
        depth == 0 ? "none" : fmt::format("{} with {} as the last", depth, *blocks.rbegin()));
  }
  return depth;
}

/// Size `axis` of the tensor `name`; 0 if it may be missing and is.
int64_t size_of(const NamedTensors& weights, const std::string& name, int64_t axis,
                const std::string& where, bool may_miss = false) {
  const auto found = weights.find(name);
  if (found == weights.end()) {
    if (may_miss) {
      return 0;
    }
    throw InputError(where, "tensor " + name, "none");
  }
  return found->second.size(axis);
}

/// Texts by the shapes of `weights`, the config and the family.
TextOptions text_options(const NamedTensors& weights, const ImageTextFamily& family,
                         const Json& config, const std::string& where, ReadingNotes& notes) {
  auto named = weights;
  const auto text = take_part(named, std::string(kTextPart));
  auto options = family.code;
  options.vocab_size = size_of(text, "token_embed", 0, where);
  options.dim = size_of(text, "token_embed", 1, where);
  options.context = size_of(text, "pos_embed", 0, where);
  options.depth = depth_of(text, where);
  options.mlp_dim = size_of(text, "blocks.0.mlp.fc1.weight", 0, where);
  options.embed_dim = size_of(text, "projection.weight", 0, where, /*may_miss=*/true);
  options.projection_bias = text.contains("projection.bias");
  options.heads = 0;
  family.read_text(config, where, options);
  if (options.heads == 0) {
    constexpr int64_t kUsualHeadDim = 64;
    options.heads = std::max<int64_t>(1, options.dim / kUsualHeadDim);
    notes.assume("text-heads", std::to_string(options.heads),
                 fmt::format("usual at width {}", options.dim));
  }
  if (config.is_null()) {
    notes.assume("text-gelu", enum_name(options.gelu), fmt::format("family {}", family.name));
  }
  return options;
}

/// Throws if a model of `options` is far larger than `weights`.
void check_image_text_size(const NamedTensors& weights, const ImageTextOptions& options,
                           const std::string& where) {
  double present = 0.0;
  for (const auto& [name, tensor] : weights) {
    present += static_cast<double>(tensor.numel());
  }
  const auto& text = options.text;
  const auto dim = static_cast<double>(text.dim);
  const double of_texts =
      static_cast<double>(text.depth) * dim * (4.0 * dim + 2.0 * static_cast<double>(text.mlp_dim));
  const double needed = of_texts + static_cast<double>(model_cost(options.image).parameters());
  constexpr double kSlack = 1 << 20;
  if (needed > 2.0 * present + kSlack) {
    throw InputError(where + ": tensors do not fit the model", fmt::format("{} parameters", needed),
                     fmt::format("{}", present));
  }
}

/// Throws InputError that lists what `weights` lack of a model of `options`, by the names of the
/// family.
void check_image_text_weights(const NamedTensors& weights, const ImageTextOptions& options,
                              const ImageTextFamily& family, const std::string& where) {
  try {
    validate(options);
  } catch (const UsageError& error) {
    throw InputError(where + ": " + error.what());  // wrong in a file, not on the command line
  }
  check_image_text_size(weights, options, where);
  const SkipInitialization skip;
  const DefaultDtypeGuard parameters(torch::kBFloat16);
  const ImageTextModel model(options);
  const auto described = [&](const std::string& name) {
    if (name.starts_with(kImagePart)) {
      return std::string(family.image_prefix) +
             name_with_family(family.image(), name.substr(kImagePart.size()));
    }
    const auto theirs = their_name(family.rows, name);
    return theirs.empty() ? name : fmt::format("{} ({})", theirs, name);
  };
  check_fit(*model, weights, where, {.described = described});
}

/// The model whose tensors and configs have the names of `family`.
ForeignImageText model_of(const NamedTensors& tensors, const ImageTextFamily& family,
                          const Json& config, const Json& preprocessor, const std::string& where) {
  const auto parts = towers_of(tensors, family, where);
  const auto& tower = family.image();
  ForeignImageText model;
  model.family = family.name;
  model.left_out = parts.left_out;
  const auto image = to_our_names(FoundModel{.family = &tower,
                                             .prefix = std::string(family.image_prefix),
                                             .tensors = parts.image,
                                             .left_out = {},
                                             .unmatched = {},
                                             .prefixes = {}},
                                  where);
  auto rest = to_our_names(parts.rest, family.rows, where);
  const ConfigFiles configs{.config = family.image_config(config), .preprocessor = preprocessor};
  auto& options = model.description.options;
  options.image =
      guess_options(image.tensors, tower,
                    {.configs = configs, .heads = image.heads, .has_qkv_bias = image.has_qkv_bias},
                    where, model.notes);
  options.image_projection = rest.tensors.contains("image_projection.weight");
  if (options.image_projection != family.needs_image_projection) {
    throw InputError(where + ": projection of images",
                     family.needs_image_projection ? "one" : "none",
                     options.image_projection ? "one" : "none");
  }
  options.has_logit_bias = rest.tensors.contains("logit_bias");
  options.text = text_options(rest.tensors, family, config, where, model.notes);
  model.description.preprocess =
      guess_preprocess(options.image, tower, configs, where, model.notes);
  model.description.resize_mode = tower.code.resize;
  model.weights = std::move(rest.tensors);
  for (const auto& [name, tensor] : image.tensors) {
    model.weights[std::string(kImagePart) + name] = tensor;
  }
  check_image_text_weights(model.weights, options, family, where);
  return model;
}

const ImageTextFamily* find_image_text_family(const NamedTensors& tensors) {
  for (const auto& family : image_text_families()) {
    if (tensors.contains(std::string(family.image_marker)) &&
        tensors.contains(std::string(family.text_marker))) {
      return &family;
    }
  }
  return nullptr;
}

/// The file `name` beside `file` as JSON; null if there is none.
Json json_beside(const std::filesystem::path& file, std::string_view name) {
  const auto path = file.parent_path() / name;
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return {};
  }
  return parse_sorted_json(MappedFile::open(path)->bytes(), path.string());
}

/// Throws if the code of `family` computes something else with the tensors and the config that are
/// about to be written than the model of `description`.
void check_same_model(const ForeignImageText& read, const ImageTextDescription& description,
                      const ImageTextFamily& family, const std::string& where) {
  // Initial values and what only training reads.
  static const std::set<std::string> kNotWritten{"drop",      "attn-drop",      "drop-path",
                                                 "text-drop", "text-drop-path", "layer-scale",
                                                 "head-bias", "logit-scale",    "logit-bias"};
  auto compared = description.options;
  // Options of MoE layers that no block has.
  if (!has_moe(compared.image)) {
    compared.image.moe = read.description.options.image.moe;
  }
  if (!has_moe(block_options(compared.text))) {
    compared.text.moe = read.description.options.text.moe;
  }
  const auto ours = options_to_json(compared);
  const auto theirs = options_to_json(read.description.options);
  for (const auto& [name, value] : ours.items()) {
    if (kNotWritten.contains(name) || value == theirs.at(name)) {
      continue;
    }
    throw InputError(fmt::format("{}: {}", where, name),
                     fmt::format("{}, as {} has", json_text(theirs.at(name)), family.name),
                     json_text(value));
  }
}

}  // namespace

bool is_foreign_image_text(const std::filesystem::path& path) {
  if (tensor_format(path) == TensorFormat::kHdf5) {
    return false;
  }
  return find_image_text_family(without_wrappers(read_tensor_file(path).tensors)) != nullptr;
}

ForeignImageText read_foreign_image_text(const std::filesystem::path& path) {
  const auto file = read_tensor_file(path);
  const auto where = file.path.string();
  refuse_adapters(file.tensors, where);
  const auto tensors = without_wrappers(file.tensors);
  const auto* const family = find_image_text_family(tensors);
  if (family == nullptr) {
    throw InputError(where,
                     "an image tower and a text tower of CLIP or SigLIP, as open_clip or "
                     "Hugging Face name them",
                     tensors.empty() ? "nothing" : tensors.begin()->first + " and so on");
  }
  const auto config = json_beside(file.path, family->config_name);
  const auto preprocessor = family->preprocessor != nullptr
                                ? family->preprocessor(config)
                                : json_beside(file.path, kPreprocessorName);
  auto model = model_of(tensors, *family, config, preprocessor, where);
  model.format = file.format;
  const auto folder = file.path.parent_path().filename().string();
  model.description.name = folder.empty() ? file.path.stem().string() : folder;
  return model;
}

void write_foreign_image_text(const std::filesystem::path& path, const ImageTextFamily& family,
                              const ImageTextDescription& description,
                              const NamedTensors& weights) {
  const auto where = path.string();
  const auto& tower = family.image();
  auto rest = weights;
  const auto image = take_part(rest, std::string(kImagePart));
  auto tensors = to_their_names(rest, family.rows, description.options.text.heads, where);
  for (auto& [name, tensor] :
       to_family_names(image, tower, description.options.image.heads, where)) {
    tensors[std::string(family.image_prefix) + name] = tensor;
  }
  const auto config = family.config(description);
  const ModelDescription images{.name = description.name,
                                .options = description.options.image,
                                .class_names = {},
                                .preprocess = description.preprocess};
  const auto preprocessor = family.preprocessor != nullptr ? family.preprocessor(config)
                                                           : huggingface_preprocessor(images);
  check_same_model(model_of(tensors, family, config, preprocessor, where), description, family,
                   where);
  const auto write = [&] { write_safetensors(path, tensors, {{"format", "pt"}}); };
  const auto write_config = [&] {
    write_text_file(path.parent_path() / family.config_name, json_text(config, 2) + "\n", write);
  };
  if (family.preprocessor != nullptr) {
    write_config();
  } else {
    write_text_file(path.parent_path() / kPreprocessorName, json_text(preprocessor, 2) + "\n",
                    write_config);
  }
}

}  // namespace softmoe
