#include "checkpoints/convert/image_text_families.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "checkpoints/convert/family_rules.h"
#include "checkpoints/convert/image_text_configs.h"
#include "checkpoints/convert/image_text_names.h"
#include "core/error.h"

namespace softmoe {
namespace {

const Family& hf_clip_tower() { return find_family("hf_clip"); }
const Family& hf_siglip_tower() { return find_family("hf_siglip"); }
const Family& timm_tower() { return find_family("timm"); }

/// open_clip's tower, which computes what Hugging Face's does.
const Family& open_clip_tower() {
  static const Family family = [] {
    auto tower = hf_clip_tower();
    tower.name = "open_clip";
    tower.tensors = {.rows = open_clip_tower_names(), .anchor = "conv1.weight"};
    tower.code.gelu = Activation::kGeluExact;
    return tower;
  }();
  return family;
}

bool is_clip(const ImageTextOptions& options) { return options.image.class_token; }
bool is_siglip(const ImageTextOptions& options) { return !is_clip(options); }

/// CLIP: causal, to the end of the text.
TextOptions clip_texts(Activation gelu) {
  TextOptions options;
  options.gelu = gelu;
  options.norm_eps = kClipNormEps;
  return options;
}

/// SigLIP: in both directions, to the last token.
TextOptions siglip_texts(Activation gelu) {
  TextOptions options;
  options.causal = false;
  options.pool = TextPool::kLast;
  options.gelu = gelu;
  options.norm_eps = 1e-6;
  return options;
}

const std::vector<ImageTextFamily>& image_text_table() {
  static const std::vector<ImageTextFamily> rows{
      {.name = "hf_clip",
       .naming = "huggingface",
       .writes = is_clip,
       .image_prefix = "vision_model.",
       .image = hf_clip_tower,
       .rows = hf_clip_text_names(),
       .image_marker = "vision_model.embeddings.class_embedding",
       .text_marker = "text_model.embeddings.token_embedding.weight",
       .needs_image_projection = true,
       .config_name = "config.json",
       .code = clip_texts(Activation::kGeluQuick),
       .image_config = hf_image_config,
       .read_text = read_hf_clip_text,
       .config = hf_clip_model_config,
       .preprocessor = nullptr},
      {.name = "hf_siglip",
       .naming = "huggingface",
       .writes = is_siglip,
       .image_prefix = "vision_model.",
       .image = hf_siglip_tower,
       .rows = hf_siglip_text_names(),
       .image_marker = "vision_model.head.probe",
       .text_marker = "text_model.embeddings.token_embedding.weight",
       .needs_image_projection = false,
       .config_name = "config.json",
       .code = siglip_texts(Activation::kGeluTanh),
       .image_config = hf_image_config,
       .read_text = read_hf_siglip_text,
       .config = hf_siglip_model_config,
       .preprocessor = nullptr},
      {.name = "open_clip",
       .naming = "open_clip",
       .writes = is_clip,
       .image_prefix = "visual.",
       .image = open_clip_tower,
       .rows = open_clip_text_names(),
       .image_marker = "visual.class_embedding",
       .text_marker = "token_embedding.weight",
       .needs_image_projection = true,
       .config_name = kOpenClipConfigName,
       .code = clip_texts(Activation::kGeluExact),
       .image_config = open_clip_image_config,
       .read_text = read_open_clip_text,
       .config = open_clip_config,
       .preprocessor = open_clip_preprocessor},
      // With timm's image tower.
      {.name = "open_clip_siglip",
       .naming = "open_clip",
       .writes = is_siglip,
       .image_prefix = "visual.trunk.",
       .image = timm_tower,
       .rows = open_clip_custom_text_names(),
       .image_marker = "visual.trunk.patch_embed.proj.weight",
       .text_marker = "text.token_embedding.weight",
       .needs_image_projection = false,
       .config_name = kOpenClipConfigName,
       .code = siglip_texts(Activation::kGeluExact),
       .image_config = open_clip_image_config,
       .read_text = read_open_clip_text,
       .config = open_clip_siglip_config,
       .preprocessor = open_clip_preprocessor},
  };
  return rows;
}

}  // namespace

std::span<const ImageTextFamily> image_text_families() { return image_text_table(); }

std::vector<std::string> image_text_namings() {
  std::vector<std::string> names;
  for (const auto& family : image_text_families()) {
    if (std::find(names.begin(), names.end(), family.naming) == names.end()) {
      names.emplace_back(family.naming);
    }
  }
  return names;
}

const ImageTextFamily& image_text_family(const std::string& naming,
                                         const ImageTextOptions& options) {
  for (const auto& family : image_text_families()) {
    if (family.naming == naming && family.writes(options)) {
      return family;
    }
  }
  throw UsageError("--names",
                   fmt::format("one of {} for a model of images and texts",
                               fmt::join(image_text_namings(), ", ")),
                   naming);
}

}  // namespace softmoe
