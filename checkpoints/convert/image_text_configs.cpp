#include "checkpoints/convert/image_text_configs.h"

#include <fmt/format.h>

#include <array>

#include "checkpoints/convert/exact_ratio.h"
#include "checkpoints/convert/hf_config.h"
#include "checkpoints/convert/preprocessor.h"
#include "checkpoints/convert/read_config.h"
#include "core/error.h"

namespace softmoe {
namespace {

/// eos_token_id of old configs of CLIP, whose texts end at the largest id whatever this says.
constexpr int64_t kOldEos = 2;

Json part(const Json& config, const char* name) {
  return config_field<Json>(config, name).value_or(Json());
}

/// "WHERE: config.json: text_config"
std::string text_place(const std::string& where, const char* file, const char* name) {
  return fmt::format("{}: {}: {}", where, file, name);
}

/// Heads, activation and eps by the names of Hugging Face.
void read_hf_text(const Json& text, const std::string& where, TextOptions& options) {
  // The readers of image towers take a config of these fields.
  options.heads = config_heads(text, options.dim, where).value_or(options.heads);
  options.norm_eps = config_eps(text, where).value_or(options.norm_eps);
  if (const auto gelu = config_gelu(text, where)) {
    options.gelu = gelu->gelu;
  }
}

Json hf_text_config(const TextOptions& options) {
  auto config = hf_tower_config(block_options(options));
  for (const char* const of_images : {"image_size", "patch_size", "num_channels"}) {
    config.erase(of_images);
  }
  config["vocab_size"] = options.vocab_size;
  config["max_position_embeddings"] = options.context;
  return config;
}

/// Refuses settings of open_clip's towers that this project does not have.
void refuse_open_clip(const Json& tower, const std::string& place,
                      std::initializer_list<const char*> names) {
  for (const char* const name : names) {
    const auto value = part(tower, name);
    if (!value.is_null() && value != Json(false) && value != Json("linear") &&
        value != Json("learnable") && value != Json("tok") && value != Json("default")) {
      throw InputError(place + ": " + name, "the default", printable_text(json_text(value), 60));
    }
  }
}

/// The activation of one of open_clip's own towers, by Hugging Face's name.
std::string open_clip_gelu(const Json& model, const Json& tower) {
  if (config_field<bool>(model, "quick_gelu").value_or(false)) {
    return "quick_gelu";
  }
  const auto approximate = config_field<std::string>(part(tower, "act_kwargs"), "approximate");
  return approximate == "tanh" ? "gelu_pytorch_tanh" : "gelu";
}

/// `tower` with the eps of its norms and its approximation of the GELU.
Json with_open_clip_code(Json tower, Activation gelu, double norm_eps) {
  tower["norm_kwargs"] = {{"eps", norm_eps}};
  if (gelu == Activation::kGeluTanh) {
    tower["act_kwargs"] = {{"approximate", "tanh"}};
  }
  return tower;
}

TextPool open_clip_pool(const Json& text, const std::string& place, TextOptions& options) {
  const auto name = config_field<std::string>(text, "pool_type").value_or("argmax");
  if (name == "argmax") {
    options.eot_token = kLargestId;
    return TextPool::kEot;
  }
  if (name == "eos") {
    options.eot_token = config_field<int64_t>(text, "eos_id").value_or(kOldEos);
    return TextPool::kEot;
  }
  if (name == "last" || name == "first") {
    return name == "last" ? TextPool::kLast : TextPool::kFirst;
  }
  throw InputError(place + ": pool_type", "argmax, eos, last or first", printable_text(name, 60));
}

Json open_clip_text_config(const TextOptions& options) {
  Json text{{"context_length", options.context},
            {"vocab_size", options.vocab_size},
            {"width", options.dim},
            {"heads", options.heads},
            {"layers", options.depth},
            {"mlp_ratio", exact_ratio(options.mlp_dim, options.dim)},
            {"no_causal_mask", !options.causal},
            {"proj_bias", options.projection_bias}};
  if (options.pool == TextPool::kEot) {
    text["pool_type"] = options.eot_token == kLargestId ? "argmax" : "eos";
    text["eos_id"] = options.eot_token == kLargestId ? kOldEos : options.eot_token;
  } else {
    text["pool_type"] = enum_name(options.pool);
  }
  return with_open_clip_code(std::move(text), options.gelu, options.norm_eps);
}

/// The whole file, with the pixels of the images.
Json open_clip_file(const ImageTextDescription& description, Json model) {
  Json preprocess = Json::object();
  if (description.preprocess) {
    const int64_t channels = description.options.image.in_chans;
    preprocess["mean"] = per_channel(description.preprocess->mean, channels);
    preprocess["std"] = per_channel(description.preprocess->std, channels);
    preprocess["interpolation"] = enum_name(description.preprocess->interpolation);
    preprocess["resize_mode"] =
        description.preprocess->evaluation_crop() == CropMode::kNone ? "squash" : "shortest";
  }
  return {{"model_cfg", std::move(model)}, {"preprocess_cfg", std::move(preprocess)}};
}

/// Model and logits by the names of open_clip.
Json open_clip_model(const ImageTextOptions& options, Json vision) {
  Json model{{"embed_dim", options.embedding_dim()},
             {"quick_gelu", options.text.gelu == Activation::kGeluQuick},
             {"vision_cfg", std::move(vision)},
             {"text_cfg", open_clip_text_config(options.text)}};
  if (options.has_logit_bias) {
    model["init_logit_bias"] = options.logit_bias;
  }
  return model;
}

/// An image tower of timm's SigLIP models.
struct SiglipTowerRow {
  int64_t dim;
  int64_t depth;
  int64_t patch_size;
  std::string_view name;  ///< before the size of images
};
constexpr std::array kSiglipTowers{
    SiglipTowerRow{768, 12, 16, "vit_base_patch16_siglip"},
    SiglipTowerRow{1024, 24, 16, "vit_large_patch16_siglip"},
    SiglipTowerRow{1152, 27, 14, "vit_so400m_patch14_siglip"},
    SiglipTowerRow{1152, 27, 16, "vit_so400m_patch16_siglip"},
};

/// timm's name of the image tower.
std::string siglip_tower(const VitOptions& options) {
  for (const auto& row : kSiglipTowers) {
    if (row.dim == options.dim && row.depth == options.depth &&
        row.patch_size == options.patch_size) {
      return fmt::format("{}_{}", row.name, options.image_height());
    }
  }
  throw InputError("open_clip: image tower",
                   "the size of one of timm's SigLIP models (--names huggingface writes any)",
                   fmt::format("width {}, {} blocks, patches of {} px", options.dim, options.depth,
                               options.patch_size));
}

}  // namespace

Json hf_image_config(const Json& config) {
  return config.is_object() && config.contains("vision_config") ? vision_config(config) : Json();
}

Json open_clip_image_config(const Json& config) {
  const auto model = part(config, "model_cfg");
  const auto vision = part(model, "vision_cfg");
  if (!vision.is_object()) {
    return {};
  }
  Json tower = Json::object();
  if (vision.contains("image_size")) {
    tower["image_size"] = vision.at("image_size");
  }
  if (const auto name = config_field<std::string>(vision, "timm_model_name")) {
    tower["architecture"] = *name;
    tower["global_pool"] = part(vision, "timm_pool");
    return tower;
  }
  const auto width = config_field<int64_t>(vision, "width").value_or(768);
  const auto head_width = config_field<int64_t>(vision, "head_width").value_or(64);
  tower["hidden_size"] = width;
  tower["num_attention_heads"] = head_width > 0 ? width / head_width : 0;
  tower["num_hidden_layers"] = config_field<int64_t>(vision, "layers").value_or(12);
  tower["hidden_act"] = open_clip_gelu(model, vision);
  if (const auto eps = part(part(vision, "norm_kwargs"), "eps"); !eps.is_null()) {
    tower["layer_norm_eps"] = eps;
  }
  return tower;
}

Json open_clip_preprocessor(const Json& config) {
  const auto preprocess = part(config, "preprocess_cfg");
  Json result;
  for (const auto& [theirs, ours] : {std::pair{"mean", "image_mean"}, {"std", "image_std"}}) {
    if (const auto value = part(preprocess, theirs); !value.is_null()) {
      result[ours] = value;
    }
  }
  const auto filter = config_field<std::string>(preprocess, "interpolation").value_or("");
  if (filter == "bicubic" || filter == "bilinear") {
    constexpr int64_t kPilBilinear = 2;
    constexpr int64_t kPilBicubic = 3;
    result["resample"] = filter == "bicubic" ? kPilBicubic : kPilBilinear;
  }
  const auto size = part(part(part(config, "model_cfg"), "vision_cfg"), "image_size");
  if (config_field<std::string>(preprocess, "resize_mode") == "squash" &&
      size.is_number_integer()) {
    result["size"] = {{"height", size}, {"width", size}};
  }
  return result;
}

void read_hf_clip_text(const Json& config, const std::string& where, TextOptions& options) {
  const auto text = part(config, "text_config");
  read_hf_text(text, where, options);
  const auto eos = config_field<int64_t>(text, "eos_token_id");
  options.eot_token = eos && *eos != kOldEos ? *eos : kLargestId;
}

void read_hf_siglip_text(const Json& config, const std::string& where, TextOptions& options) {
  read_hf_text(part(config, "text_config"), where, options);
}

void read_open_clip_text(const Json& config, const std::string& where, TextOptions& options) {
  const auto model = part(config, "model_cfg");
  const auto text = part(model, "text_cfg");
  if (!text.is_object()) {
    return;
  }
  const auto place = text_place(where, kOpenClipConfigName, "text_cfg");
  refuse_open_clip(text, place,
                   {"embed_cls", "final_ln_after_pool", "proj_type", "hf_model_name", "qk_norm",
                    "scaled_cosine_attn", "scale_heads", "scale_attn", "scale_attn_inner",
                    "scale_fc", "use_pad_mask"});
  refuse_open_clip(part(model, "vision_cfg"), text_place(where, kOpenClipConfigName, "vision_cfg"),
                   {"attentional_pool", "final_ln_after_pool", "pool_type", "pos_embed_type",
                    "no_ln_pre", "qk_norm", "scaled_cosine_attn", "scale_heads", "scale_attn",
                    "scale_attn_inner", "scale_fc"});
  Json named{{"hidden_act", open_clip_gelu(model, text)}};
  named["num_attention_heads"] = part(text, "heads");
  named["layer_norm_eps"] = part(part(text, "norm_kwargs"), "eps");
  read_hf_text(named, where, options);
  options.causal = !config_field<bool>(text, "no_causal_mask").value_or(false);
  options.pool = open_clip_pool(text, place, options);
}

Json hf_clip_model_config(const ImageTextDescription& description) {
  const auto& options = description.options;
  auto vision = hf_tower_config(options.image);
  auto text = hf_text_config(options.text);
  vision["projection_dim"] = options.embedding_dim();
  text["projection_dim"] = options.embedding_dim();
  vision["model_type"] = "clip_vision_model";
  text["model_type"] = "clip_text_model";
  text["eos_token_id"] = options.text.eot_token == kLargestId ? kOldEos : options.text.eot_token;
  return {{"architectures", {"CLIPModel"}},
          {"model_type", "clip"},
          {"projection_dim", options.embedding_dim()},
          {"text_config", std::move(text)},
          {"vision_config", std::move(vision)}};
}

Json hf_siglip_model_config(const ImageTextDescription& description) {
  const auto& options = description.options;
  auto vision = hf_tower_config(options.image);
  auto text = hf_text_config(options.text);
  text["projection_size"] = options.embedding_dim();
  vision["model_type"] = "siglip_vision_model";
  text["model_type"] = "siglip_text_model";
  return {{"architectures", {"SiglipModel"}},
          {"model_type", "siglip"},
          {"text_config", std::move(text)},
          {"vision_config", std::move(vision)}};
}

Json open_clip_config(const ImageTextDescription& description) {
  const auto& options = description.options;
  const auto& image = options.image;
  Json vision{{"image_size", image.image_height()},
              {"layers", image.depth},
              {"width", image.dim},
              {"head_width", image.dim / image.heads},
              {"mlp_ratio", exact_ratio(image.mlp_dim, image.dim)},
              {"patch_size", image.patch_size}};
  return open_clip_file(
      description,
      open_clip_model(options, with_open_clip_code(std::move(vision), image.gelu, image.norm_eps)));
}

Json open_clip_siglip_config(const ImageTextDescription& description) {
  const auto& options = description.options;
  auto model = open_clip_model(options, {{"image_size", options.image.image_height()},
                                         {"timm_model_name", siglip_tower(options.image)},
                                         {"timm_model_pretrained", false},
                                         {"timm_pool", "map"},
                                         {"timm_proj", "none"}});
  model["custom_text"] = true;
  return open_clip_file(description, std::move(model));
}

}  // namespace softmoe
