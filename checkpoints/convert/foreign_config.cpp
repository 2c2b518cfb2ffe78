#include "checkpoints/convert/foreign_config.h"

#include <fmt/format.h>

#include <cmath>

#include "checkpoints/convert/preprocessor.h"
#include "vit/zoo.h"

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

Json labels(const ModelDescription& description, Json config) {
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

/// Sizes and semantics, as all Hugging Face vision transformers name them.
Json tower_config(const VitOptions& options) {
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

/// A ratio that makes a width of `hidden` of one of `dim`, when the product is cut to an integer.
double exact_ratio(int64_t hidden, int64_t dim) {
  const double ratio = static_cast<double>(hidden) / static_cast<double>(dim);
  const bool falls_short = static_cast<int64_t>(ratio * static_cast<double>(dim)) < hidden;
  return falls_short ? std::nextafter(ratio, HUGE_VAL) : ratio;
}

/// mlp_ratio of DINOv2; new versions of its code want integers.
Json dinov2_ratio(const VitOptions& options) {
  int64_t hidden = options.mlp_dim;
  if (options.mlp_layer == MlpLayer::kSwiGlu) {
    // The code takes two thirds and rounds up to a multiple of 8: so much less gives the same.
    constexpr int64_t kLess = 10;
    hidden = options.mlp_dim / 2 * 3;
    const int64_t whole = hidden / options.dim * options.dim;
    hidden = whole >= hidden - kLess ? whole : hidden;
  }
  return hidden % options.dim == 0 ? Json(hidden / options.dim)
                                   : Json(exact_ratio(hidden, options.dim));
}

/// `config` with the name of a model class before it.
Json named_config(const std::string& architecture, const std::string& model_type, Json config) {
  Json result{{"architectures", {architecture}}, {"model_type", model_type}};
  result.update(config);
  return result;
}

}  // namespace

Json huggingface_config(const Family& family, const ModelDescription& description) {
  const auto& options = description.options;
  const bool has_head = options.num_classes > 0;
  auto tower = tower_config(options);
  if (family.name == "hf_clip") {
    tower["projection_dim"] = has_head ? options.num_classes : options.dim;
    return named_config(has_head ? "CLIPVisionModelWithProjection" : "CLIPVisionModel",
                        "clip_vision_model", tower);
  }
  if (family.name == "hf_siglip") {
    tower["vision_use_head"] = options.global_pool == GlobalPool::kMap;
    tower["model_type"] = "siglip_vision_model";
    if (!has_head) {
      return named_config("SiglipVisionModel", "siglip_vision_model", tower);
    }
    return labels(description, named_config("SiglipForImageClassification", "siglip",
                                            {{"vision_config", tower}}));
  }
  tower["qkv_bias"] = true;
  if (family.name.starts_with("hf_dinov2")) {
    tower["mlp_ratio"] = dinov2_ratio(options);
    tower["use_swiglu_ffn"] = options.mlp_layer == MlpLayer::kSwiGlu;
    tower["layerscale_value"] = options.layer_scale;
    const std::string head = has_head ? "ForImageClassification" : "Model";
    if (options.reg_tokens > 0) {
      tower["num_register_tokens"] = options.reg_tokens;
      return labels(description,
                    named_config("Dinov2WithRegisters" + head, "dinov2_with_registers", tower));
    }
    return labels(description, named_config("Dinov2" + head, "dinov2", tower));
  }
  if (family.name == "hf_deit" || family.name == "hf_deit_distilled") {
    const std::string head =
        family.name == "hf_deit" ? "ForImageClassification" : "ForImageClassificationWithTeacher";
    return labels(description, named_config("DeiT" + (has_head ? head : "Model"), "deit", tower));
  }
  return labels(description,
                named_config(has_head ? "ViTForImageClassification" : "ViTModel", "vit", tower));
}

Json timm_config(const ModelDescription& description) {
  const auto& options = description.options;
  const auto& preprocess = description.preprocess;
  const bool gated = options.mlp_layer == MlpLayer::kSwiGlu;
  // What model_args cannot say follows from the name: a second head, CLIP's eps, SwiGLU.
  std::string architecture = timm_alias(description.name);
  if (options.dist_token) {
    architecture = "deit_base_distilled_patch16_224";
  } else if (options.pre_norm) {
    const bool is_clip = options.norm_eps == find_family("hf_clip").norm_eps;
    architecture = is_clip ? "vit_base_patch16_clip_224" : "vit_base_patch16_224";
  } else if (gated) {
    architecture = "vit_giant_patch14_dinov2";
  } else if (architecture.empty()) {
    architecture = "vit_base_patch16_224";
  }
  Json arguments{
      {"img_size", {options.image_height(), options.image_width()}},
      {"patch_size", options.patch_size},
      {"embed_dim", options.dim},
      {"depth", options.depth},
      {"num_heads", options.heads},
      {"mlp_ratio", exact_ratio(gated ? 2 * options.mlp_dim : options.mlp_dim, options.dim)},
      {"global_pool", enum_name(options.global_pool)},
      {"qk_norm", options.qk_norm},
      {"class_token", options.class_token},
      {"no_embed_class", !options.pos_embed_prefix},
      {"reg_tokens", options.reg_tokens},
      {"pre_norm", options.pre_norm},
      {"fc_norm", options.final_norm == FinalNorm::kPooled}};
  if (options.pool_include_prefix) {
    arguments["pool_include_prefix"] = true;
  }
  if (options.layer_scale > 0) {
    arguments["init_values"] = options.layer_scale;
  }
  if (!gated && options.gelu != Activation::kGeluExact) {
    arguments["act_layer"] = options.gelu == Activation::kGeluTanh ? "gelu_tanh" : "quick_gelu";
  }
  Json pretrained{{"input_size", {options.in_chans, options.image_height(), options.image_width()}},
                  {"interpolation", preprocess.value("interpolation", std::string("bicubic"))},
                  {"crop_pct", preprocess.value("crop-pct", 1.0)},
                  {"crop_mode", squeezes_images(description) ? "squash" : "center"},
                  {"mean", per_channel(preprocess, "mean", options.in_chans)},
                  {"std", per_channel(preprocess, "std", options.in_chans)},
                  {"num_classes", options.num_classes},
                  {"first_conv", "patch_embed.proj"},
                  {"classifier", "head"}};
  if (options.dist_token) {
    pretrained["classifier"] = {"head", "head_dist"};
  }
  Json config{{"architecture", architecture}, {"num_classes", options.num_classes},
              {"num_features", options.dim},  {"global_pool", enum_name(options.global_pool)},
              {"model_args", arguments},      {"pretrained_cfg", pretrained}};
  if (!description.class_names.empty()) {
    config["label_names"] = description.class_names;
  }
  return config;
}

}  // namespace softmoe
