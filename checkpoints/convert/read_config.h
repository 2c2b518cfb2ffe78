#pragma once
/// What the config.json of Hugging Face and timm says about a model.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "checkpoints/convert/families.h"
#include "core/error.h"

namespace softmoe {

/// A field of a config, nothing where it is absent, null or of another type.
template <typename T>
std::optional<T> config_field(const Json& config, const std::string& name) {
  if (!config.is_object() || !config.contains(name) || config.at(name).is_null()) {
    return std::nullopt;
  }
  try {
    return config.at(name).get<T>();
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

/// The same, for fields that matter: throws InputError that starts with `where` where the field is
/// there and no `expected`, and, of numbers, no number above 0.
template <typename T>
std::optional<T> checked_field(const Json& config, const std::string& name,
                               const std::string& where, const std::string& expected) {
  const auto value = config_field<T>(config, name);
  bool is_good = value.has_value();
  if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
    is_good = is_good && config.at(name).is_number() && *value > T{0};
  }
  if (!is_good && config.is_object() && config.contains(name) && !config.at(name).is_null()) {
    throw InputError(where + ": " + name, expected, printable_text(json_text(config.at(name)), 60));
  }
  return value;
}

/// The arguments with which a config of timm makes its model, null where there are none.
Json timm_arguments(const Json& config);

/// What a config of timm pools by, nothing where it does not say so. Throws InputError that starts
/// with `where` for what there is not here.
std::optional<GlobalPool> config_pool(const Json& config, const std::string& where);

/// Whether a model of timm with a norm before its blocks is a CLIP, which has an eps and pixels of
/// its own; without a name it is taken for one.
bool is_timm_clip(const Json& config, const Family& family, const VitOptions& options);

/// Attention heads of a model of width `dim`, by number or by the name of timm's architecture.
/// Throws InputError that starts with `where` for what is no number of heads.
std::optional<int64_t> config_heads(const Json& config, int64_t dim, const std::string& where);

/// What is added to variances in LayerNorm. Throws InputError that starts with `where` unless it is
/// above 0 and at most 1.
std::optional<double> config_eps(const Json& config, const std::string& where);

/// The activation that a config tells of, and by what.
struct ConfigGelu {
  Activation gelu = Activation::kGeluExact;
  std::string reason;
};
/// Throws InputError that starts with `where` for an activation that is no GELU.
std::optional<ConfigGelu> config_gelu(const Json& config, const std::string& where);

/// The image size that the positions are for: one number, or height and width. Throws InputError
/// that starts with `where` for what is none.
std::optional<std::vector<int64_t>> config_image_size(const Json& config, const std::string& where);

/// The preprocessing that belongs to a model of `family`, by the option names of PreprocessOptions.
/// `choices` gets a line for what the config wants and ours does otherwise. Throws InputError that
/// starts with `where` for values that make no sense.
Json guess_preprocess(const VitOptions& options, const Family& family, const Json& config,
                      const std::string& where, std::vector<std::string>& choices);

/// Names of the classes from `id2label` or `label_names`; empty where there are none that say more
/// than a number.
std::vector<std::string> config_class_names(const Json& config, int64_t num_classes);

/// The part of a Hugging Face config that is about images.
Json vision_config(const Json& config);

}  // namespace softmoe
