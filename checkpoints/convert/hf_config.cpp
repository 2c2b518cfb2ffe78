#include "checkpoints/convert/hf_config.h"

#include <fmt/format.h>

#include "checkpoints/convert/exact_ratio.h"

namespace softmoe {
namespace {

std::string activation_name(Activation gelu) {
  switch (gelu) {
    case Activation::kGeluTanh:
      return "gelu_pytorch_tanh";
    case Activation::kGeluQuick:
      return "quick_gelu";
    default:
      return "gelu";
  }
}

Json image_size(const VitOptions& options) {
  return options.image_height() == options.image_width()
             ? Json(options.image_height())
             : Json{options.image_height(), options.image_width()};
}

/// `config` with the names of the classes.
Json with_labels(const ModelDescription& description, Json config) {
  if (description.options.num_classes > 0) {
    Json names = Json::object();
    Json numbers = Json::object();
    for (int64_t label = 0; label < description.options.num_classes; ++label) {
      const auto index = static_cast<size_t>(label);
      const auto& known = description.class_names;
      const auto name = index < known.size() ? known[index] : fmt::format("LABEL_{}", label);
      names[std::to_string(label)] = name;
      numbers[name] = label;
    }
    config["id2label"] = names;
    config["label2id"] = numbers;
  }
  return config;
}

/// mlp_ratio of DINOv2, an integer if possible: new versions of its code take no others.
Json dinov2_ratio(const VitOptions& options) {
  int64_t hidden = options.mlp_dim;
  if (options.mlp_layer == MlpLayer::kSwiGlu) {
    // The code takes two thirds and rounds up to a multiple of 8, so slightly fewer give the same.
    constexpr int64_t kMaxLess = 10;
    hidden = options.mlp_dim / 2 * 3;
    const int64_t whole = hidden / options.dim * options.dim;
    hidden = whole >= hidden - kMaxLess ? whole : hidden;
  }
  return hidden % options.dim == 0 ? Json(hidden / options.dim)
                                   : Json(exact_ratio(hidden, options.dim));
}

/// `config` with the name of a model class in front.
Json named_config(const std::string& architecture, const std::string& model_type, Json config) {
  Json result{{"architectures", {architecture}}, {"model_type", model_type}};
  result.update(config);
  return result;
}

/// The config of a model whose head is a classifier. `head` ends the name of its class.
Json classifier_config(const ModelDescription& description, const std::string& model,
                       const std::string& model_type, Json tower,
                       const std::string& head = "ForImageClassification") {
  const bool has_head = description.options.num_classes > 0;
  return with_labels(
      description, named_config(model + (has_head ? head : "Model"), model_type, std::move(tower)));
}

/// hf_tower_config() of models that may have no biases of queries, keys and values.
Json tower_with_biases(const VitOptions& options) {
  auto tower = hf_tower_config(options);
  tower["qkv_bias"] = true;
  return tower;
}

}  // namespace

Json hf_tower_config(const VitOptions& options) {
  return {{"hidden_size", options.dim},
          {"num_hidden_layers", options.depth},
          {"num_attention_heads", options.heads},
          {"intermediate_size", options.mlp_dim},
          {"hidden_act", activation_name(options.gelu)},
          {"layer_norm_eps", options.norm_eps},
          {"image_size", image_size(options)},
          {"patch_size", options.patch_size},
          {"num_channels", options.in_chans}};
}

Json hf_vit_config(const ModelDescription& description) {
  return classifier_config(description, "ViT", "vit", tower_with_biases(description.options));
}

Json hf_deit_config(const ModelDescription& description) {
  return classifier_config(description, "DeiT", "deit", tower_with_biases(description.options));
}

Json hf_deit_distilled_config(const ModelDescription& description) {
  return classifier_config(description, "DeiT", "deit", tower_with_biases(description.options),
                           "ForImageClassificationWithTeacher");
}

Json hf_dinov2_config(const ModelDescription& description) {
  const auto& options = description.options;
  auto tower = tower_with_biases(options);
  tower["mlp_ratio"] = dinov2_ratio(options);
  tower["use_swiglu_ffn"] = options.mlp_layer == MlpLayer::kSwiGlu;
  tower["layerscale_value"] = options.layer_scale;
  if (options.reg_tokens == 0) {
    return classifier_config(description, "Dinov2", "dinov2", tower);
  }
  tower["num_register_tokens"] = options.reg_tokens;
  return classifier_config(description, "Dinov2WithRegisters", "dinov2_with_registers", tower);
}

Json hf_clip_config(const ModelDescription& description) {
  const auto& options = description.options;
  const bool has_head = options.num_classes > 0;
  auto tower = hf_tower_config(options);
  tower["projection_dim"] = has_head ? options.num_classes : options.dim;
  return named_config(has_head ? "CLIPVisionModelWithProjection" : "CLIPVisionModel",
                      "clip_vision_model", tower);
}

Json hf_siglip_config(const ModelDescription& description) {
  const auto& options = description.options;
  auto tower = hf_tower_config(options);
  tower["vision_use_head"] = options.global_pool == GlobalPool::kMap;
  tower["model_type"] = "siglip_vision_model";
  if (options.num_classes == 0) {
    return named_config("SiglipVisionModel", "siglip_vision_model", tower);
  }
  return with_labels(description, named_config("SiglipForImageClassification", "siglip",
                                               {{"vision_config", tower}}));
}

}  // namespace softmoe
