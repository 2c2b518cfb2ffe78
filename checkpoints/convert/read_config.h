#pragma once
/// What the config.json of Hugging Face and timm says about a model. A config is null if there is
/// none.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/json_text.h"
#include "vit/options.h"

namespace softmoe {

/// A field of a config; nothing if it is absent, null or of another type.
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

/// A field of a config; nothing if it is absent or null. Throws InputError that starts with `where`
/// and says `expected` if it is of another type, or a number that is not above 0.
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

/// The config files beside the weights of a foreign model; null: none.
struct ConfigFiles {
  Json config;        ///< config.json
  Json preprocessor;  ///< preprocessor_config.json
};

/// The arguments with which a config of timm makes its model; null: none.
Json timm_arguments(const Json& config);

/// The name of timm's architecture.
std::optional<std::string> config_architecture(const Json& config);

/// The pooling that a config of timm asks for. Throws InputError that starts with `where` for a
/// pooling that does not exist here.
std::optional<GlobalPool> config_pool(const Json& config, const std::string& where);

/// Attention heads of a model of width `dim`, by number or by the name of timm's architecture.
/// Throws InputError that starts with `where` for other values than numbers above 0.
std::optional<int64_t> config_heads(const Json& config, int64_t dim, const std::string& where);

/// Throws InputError that starts with `where` if a config gives another width or number of blocks
/// than `options` have: it belongs to another model, or blocks are missing or too many.
void check_config_sizes(const Json& config, const VitOptions& options, const std::string& where);

/// Throws InputError that starts with `where` if a config gives another width of MLPs than
/// `options`, of MLPs with GELU.
void check_mlp_width(const Json& config, const VitOptions& options, const std::string& where);

/// The eps of LayerNorm. Throws InputError that starts with `where` unless it is
/// above 0 and at most 1.
std::optional<double> config_eps(const Json& config, const std::string& where);

/// The activation of a config.
struct ConfigGelu {
  Activation gelu = Activation::kGeluExact;
  std::string reason;  ///< the field and its value, or the architecture
};
/// Throws InputError that starts with `where` for an activation that is no GELU.
std::optional<ConfigGelu> config_gelu(const Json& config, const std::string& where);

/// The image size that the positions are for: one number, or height and width. Throws InputError
/// that starts with `where` for other values.
std::optional<std::vector<int64_t>> config_image_size(const Json& config, const std::string& where);

/// Names of the classes from `label_names` or `id2label`; empty if there are none, or none that
/// says more than a number. If they do not name each of `num_classes` classes, they are not taken,
/// and `unused` gets a line.
std::vector<std::string> config_class_names(const Json& config, int64_t num_classes,
                                            std::vector<std::string>& unused);

/// The part of a Hugging Face config that is about images.
Json vision_config(const Json& config);

}  // namespace softmoe
