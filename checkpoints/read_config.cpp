#include "checkpoints/read_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/error.h"
#include "vit/zoo.h"

namespace softmoe {
namespace {

/// Values as an option's list: one number where all are the same.
Json value_list(const std::vector<double>& values) {
  const bool equal = std::all_of(values.begin(), values.end(),
                                 [&](double value) { return value == values.front(); });
  return equal ? Json(std::vector<double>{values.front()}) : Json(values);
}

}  // namespace

Json vision_config(const Json& config) {
  return config.is_object() && config.contains("vision_config") &&
                 config.at("vision_config").is_object()
             ? config.at("vision_config")
             : config;
}

std::optional<int64_t> config_heads(const Json& config, int64_t dim) {
  const auto arguments = config_field<Json>(config, "model_args").value_or(Json());
  for (const auto& heads : {config_field<int64_t>(vision_config(config), "num_attention_heads"),
                            config_field<int64_t>(arguments, "num_heads")}) {
    if (heads && *heads > 0) {
      return heads;
    }
  }
  if (const auto name = config_field<std::string>(config, "architecture")) {
    try {
      const auto preset = model_preset(*name);
      return preset.dim == dim ? std::optional(preset.heads) : std::nullopt;
    } catch (const UsageError&) {
      return std::nullopt;  // timm has more names than the zoo
    }
  }
  return std::nullopt;
}

std::optional<std::vector<int64_t>> config_image_size(const Json& config) {
  const auto& vision = vision_config(config);
  if (const auto edge = config_field<int64_t>(vision, "image_size")) {
    return std::vector<int64_t>{*edge};
  }
  if (const auto both = config_field<std::vector<int64_t>>(vision, "image_size")) {
    return both;
  }
  const auto arguments = config_field<Json>(config, "model_args").value_or(Json());
  if (const auto size = config_field<std::vector<int64_t>>(arguments, "img_size")) {
    return size;
  }
  const auto pretrained = config_field<Json>(config, "pretrained_cfg").value_or(Json());
  const auto input = config_field<std::vector<int64_t>>(pretrained, "input_size");
  if (input && input->size() == 3) {
    return std::vector<int64_t>{(*input)[1], (*input)[2]};
  }
  return std::nullopt;
}

Json guess_preprocess(const VitOptions& options, const Family& family, const Json& config) {
  auto pixels = family.pixels;
  if (family.name == "timm" && options.pre_norm) {
    pixels = find_family("hf_clip").pixels;
  } else if (family.name == "timm" && (options.dist_token || options.layer_scale > 0)) {
    pixels = find_family("hf_deit").pixels;
  }
  const auto timm = config_field<Json>(config, "pretrained_cfg").value_or(Json());
  const auto preprocessor = config_field<Json>(config, "preprocessor").value_or(Json());
  std::vector<double> mean(pixels.mean.begin(), pixels.mean.end());
  std::vector<double> std(pixels.std.begin(), pixels.std.end());
  mean = config_field<std::vector<double>>(preprocessor, "image_mean")
             .value_or(config_field<std::vector<double>>(timm, "mean").value_or(mean));
  std = config_field<std::vector<double>>(preprocessor, "image_std")
            .value_or(config_field<std::vector<double>>(timm, "std").value_or(std));
  const auto channels = static_cast<size_t>(options.in_chans);
  if (channels != mean.size() || channels != std.size() || mean.empty()) {
    mean = {0.5};
    std = {0.5};
  }
  auto interpolation = std::string(pixels.interpolation);
  if (const auto named = config_field<std::string>(timm, "interpolation");
      named == "bilinear" || named == "bicubic" || named == "nearest") {
    interpolation = *named;
  }
  return {{"input-size", {options.in_chans, options.image_height(), options.image_width()}},
          {"mean", value_list(mean)},
          {"std", value_list(std)},
          {"interpolation", interpolation},
          {"crop-pct", config_field<double>(timm, "crop_pct").value_or(pixels.crop_pct)}};
}

std::vector<std::string> config_class_names(const Json& config, int64_t num_classes) {
  if (const auto labels = config_field<std::vector<std::string>>(config, "label_names");
      labels && std::ssize(*labels) == num_classes) {
    return *labels;
  }
  const auto table = config_field<std::map<std::string, std::string>>(config, "id2label");
  if (!table || std::ssize(*table) != num_classes) {
    return {};
  }
  std::vector<std::string> names;
  bool says_more = false;
  for (int64_t label = 0; label < num_classes; ++label) {
    const auto found = table->find(std::to_string(label));
    if (found == table->end()) {
      return {};
    }
    says_more = says_more || found->second != fmt::format("LABEL_{}", label);
    names.push_back(found->second);
  }
  return says_more ? names : std::vector<std::string>{};
}

}  // namespace softmoe
