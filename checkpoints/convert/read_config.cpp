#include "checkpoints/convert/read_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "core/error.h"
#include "core/pluralize.h"
#include "vit/zoo.h"

namespace softmoe {
namespace {

std::string config_place(const std::string& where) { return where + ": config.json"; }

/// Activations by the names of Hugging Face and timm.
constexpr std::array<std::pair<std::string_view, Activation>, 6> kActivations{
    {{"gelu", Activation::kGeluExact},
     {"gelu_pytorch_tanh", Activation::kGeluTanh},
     {"gelu_new", Activation::kGeluTanh},
     {"gelu_tanh", Activation::kGeluTanh},
     {"quick_gelu", Activation::kGeluQuick},
     {"quickgelu", Activation::kGeluQuick}}};

/// timm's architectures that are not in the zoo and whose heads do not follow from their width.
constexpr std::array<std::pair<std::string_view, int64_t>, 4> kUnusualHeads{
    {{"test_vit", 2}, {"test_vit2", 2}, {"test_vit3", 3}, {"vit_giant_patch16_radio_v3", 24}}};

/// Parts of the names of those of timm's SigLIP models that have the tanh approximation.
constexpr std::array<std::string_view, 5> kTanhSiglip{
    "patch32_siglip", "giantopt", "so400m_patch16", "patch16_siglip_512", "patch16_siglip_gap_512"};

/// The activation of an architecture of timm if it is not the usual one.
std::optional<Activation> architecture_gelu(const std::string& name) {
  if (name.find("quickgelu") != std::string::npos) {
    return Activation::kGeluQuick;
  }
  const bool is_base = name.find("vit_base_patch16") != std::string::npos;
  const bool is_tanh =
      name.find("siglip") != std::string::npos && !is_base &&
      std::any_of(kTanhSiglip.begin(), kTanhSiglip.end(),
                  [&name](std::string_view part) { return name.find(part) != std::string::npos; });
  return is_tanh ? std::optional(Activation::kGeluTanh) : std::nullopt;
}

/// `size` if a model can have it, else nothing.
std::optional<std::vector<int64_t>> plausible_size(const std::vector<int64_t>& size) {
  constexpr int64_t kMaxEdge = 1 << 16;
  const bool good = (size.size() == 1 || size.size() == 2) &&
                    std::all_of(size.begin(), size.end(),
                                [](int64_t edge) { return edge >= 1 && edge <= kMaxEdge; });
  return good ? std::optional(size) : std::nullopt;
}

/// The names in a list, or in an object with the keys 0, 1 and so on; nothing for other values.
std::optional<std::vector<std::string>> label_list(const Json& value) {
  std::vector<std::string> names;
  for (size_t label = 0; label < value.size(); ++label) {
    const auto key = std::to_string(label);
    const Json* name = nullptr;
    if (value.is_array()) {
      name = &value[label];
    } else if (value.is_object() && value.contains(key)) {
      name = &value.at(key);
    }
    if (name == nullptr || !name->is_string()) {
      return std::nullopt;
    }
    names.push_back(name->get<std::string>());
  }
  return names;
}

/// Returns false for the names that transformers gives classes without names.
bool says_more_than_numbers(const std::vector<std::string>& names) {
  for (size_t label = 0; label < names.size(); ++label) {
    if (names[label] != fmt::format("LABEL_{}", label)) {
      return true;
    }
  }
  return false;
}

}  // namespace

Json vision_config(const Json& config) {
  return config.is_object() && config.contains("vision_config") &&
                 config.at("vision_config").is_object()
             ? config.at("vision_config")
             : config;
}

Json timm_arguments(const Json& config) {
  return config_field<Json>(config, "model_args").value_or(Json());
}

std::optional<std::string> config_architecture(const Json& config) {
  return config_field<std::string>(config, "architecture");
}

std::optional<GlobalPool> config_pool(const Json& config, const std::string& where) {
  auto pool = config_field<std::string>(timm_arguments(config), "global_pool");
  if (!pool) {
    pool = config_field<std::string>(config, "global_pool");
  }
  const auto known = enum_value<GlobalPool>(pool.value_or(""));
  if (pool && !known) {
    throw InputError(config_place(where) + ": global_pool",
                     fmt::format("one of {}", fmt::join(enum_names<GlobalPool>(), ", ")),
                     "'" + printable_text(*pool, 60) + "'");
  }
  return known;
}

std::optional<int64_t> config_heads(const Json& config, int64_t dim, const std::string& where) {
  for (const auto& [source, field] : {std::pair{vision_config(config), "num_attention_heads"},
                                      {timm_arguments(config), "num_heads"}}) {
    if (const auto heads =
            checked_field<int64_t>(source, field, config_place(where), "a number above 0")) {
      return heads;
    }
  }
  if (const auto name = config_architecture(config)) {
    for (const auto& [other, heads] : kUnusualHeads) {
      if (*name == other) {
        return heads;
      }
    }
    try {
      const auto preset = model_preset(*name);
      return preset.dim == dim ? std::optional(preset.heads) : std::nullopt;
    } catch (const UsageError&) {
      return std::nullopt;  // an architecture that is not in the zoo
    }
  }
  return std::nullopt;
}

std::optional<ConfigGelu> config_gelu(const Json& config, const std::string& where) {
  const auto arguments = timm_arguments(config);
  for (const auto& [source, field] :
       {std::pair{vision_config(config), "hidden_act"}, {arguments, "act_layer"}}) {
    const auto activation =
        checked_field<std::string>(source, field, config_place(where), "the name of a GELU");
    if (!activation) {
      continue;
    }
    for (const auto& [name, gelu] : kActivations) {
      if (name == *activation) {
        return ConfigGelu{gelu, fmt::format("{} {}", field, name)};
      }
    }
    throw InputError(config_place(where) + ": " + field,
                     "gelu, gelu_tanh, gelu_new, gelu_pytorch_tanh or quick_gelu",
                     printable_text(*activation, 60));
  }
  const auto name = config_architecture(config).value_or("");
  const auto gelu = architecture_gelu(name);
  return gelu ? std::optional(ConfigGelu{*gelu, name}) : std::nullopt;
}

std::optional<double> config_eps(const Json& config, const std::string& where) {
  const std::string name = "layer_norm_eps";
  const std::string expected = "a number above 0 and at most 1";
  const auto eps =
      checked_field<double>(vision_config(config), name, config_place(where), expected);
  if (eps && *eps > 1.0) {
    throw InputError(config_place(where) + ": " + name, expected, fmt::format("{:g}", *eps));
  }
  return eps;
}

std::optional<std::vector<int64_t>> config_image_size(const Json& config,
                                                      const std::string& where) {
  for (const auto& [source, field] :
       {std::pair{vision_config(config), "image_size"}, {timm_arguments(config), "img_size"}}) {
    auto size = config_field<std::vector<int64_t>>(source, field);
    const auto edge = config_field<int64_t>(source, field);
    if (edge && !size) {
      size = {*edge};
    }
    const auto good = size ? plausible_size(*size) : std::nullopt;
    if (!good && source.is_object() && source.contains(field) && !source.at(field).is_null()) {
      throw InputError(config_place(where) + ": " + field,
                       "pixels of one edge, or height and width",
                       printable_text(json_text(source.at(field)), 60));
    }
    if (good) {
      return good;
    }
  }
  const auto pretrained = config_field<Json>(config, "pretrained_cfg").value_or(Json());
  const auto input = config_field<std::vector<int64_t>>(pretrained, "input_size");
  if (input && input->size() == 3) {
    return plausible_size({(*input)[1], (*input)[2]});
  }
  return std::nullopt;
}

void check_config_sizes(const Json& config, const VitOptions& options, const std::string& where) {
  const Json vision = vision_config(config);
  const Json arguments = timm_arguments(config);
  for (const auto& [source, field, found, words] :
       {std::tuple{&vision, "num_hidden_layers", options.depth, "blocks"},
        {&vision, "hidden_size", options.dim, "channels"},
        {&arguments, "depth", options.depth, "blocks"},
        {&arguments, "embed_dim", options.dim, "channels"}}) {
    const auto said =
        checked_field<int64_t>(*source, field, config_place(where), "a number above 0");
    if (said && *said != found) {
      throw InputError(config_place(where) + ": " + field,
                       fmt::format("{}, as the weights have {}", found, words),
                       std::to_string(*said));
    }
  }
}

void check_mlp_width(const Json& config, const VitOptions& options, const std::string& where) {
  if (options.mlp_layer != MlpLayer::kMlp) {
    return;  // names of its width differ
  }
  const auto place = config_place(where);
  const auto width =
      checked_field<int64_t>(vision_config(config), "intermediate_size", place, "a number above 0");
  const auto ratio =
      checked_field<double>(timm_arguments(config), "mlp_ratio", place, "a number above 0");
  const auto said =
      width   ? width
      : ratio ? std::optional(static_cast<int64_t>(*ratio * static_cast<double>(options.dim)))
              : std::nullopt;
  if (said && *said != options.mlp_dim) {
    throw InputError(place + ": " + (width ? "intermediate_size" : "mlp_ratio"),
                     fmt::format("MLPs of {} channels, as the weights have", options.mlp_dim),
                     std::to_string(*said));
  }
}

std::vector<std::string> config_class_names(const Json& config, int64_t num_classes,
                                            std::vector<std::string>& unused) {
  for (const std::string field : {"label_names", "id2label"}) {
    const auto value = config_field<Json>(config, field);
    if (!value || value->empty() || num_classes == 0) {
      continue;
    }
    const auto names = label_list(*value);
    if (names && !says_more_than_numbers(*names)) {
      continue;
    }
    if (!names || std::ssize(*names) != num_classes) {
      const auto problem = names
                               ? fmt::format("has {} for {}", pluralize(std::ssize(*names), "name"),
                                             pluralize(num_classes, "class", "classes"))
                               : std::string("is no list of one name per class");
      unused.push_back(fmt::format("config.json: {} {}: labels have no names", field, problem));
      continue;
    }
    return *names;
  }
  return {};
}

}  // namespace softmoe
