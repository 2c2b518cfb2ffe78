#include "vit/image_text_zoo.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/nearest_name.h"
#include "vit/zoo.h"

namespace softmoe {
namespace {

/// The text tower beside an image tower of width `image_dim`.
struct TextSizeRow {
  int64_t image_dim;
  int64_t clip_dim;  ///< as open_clip's configs have it; also the width of embeddings
  int64_t clip_depth;
  int64_t siglip_depth;  ///< of a tower as wide as the images'
};
constexpr std::array kTextSizes{
    TextSizeRow{192, 192, 6, 6},      // ti
    TextSizeRow{384, 384, 12, 12},    // s
    TextSizeRow{768, 512, 12, 12},    // b
    TextSizeRow{1024, 768, 12, 24},   // l
    TextSizeRow{1280, 1024, 24, 32},  // h
    TextSizeRow{1408, 1024, 24, 40},  // g
    TextSizeRow{1664, 1280, 32, 48},  // G
};

constexpr int64_t kTextHeadDim = 64;

void make_clip(ImageTextOptions& options, const TextSizeRow& size) {
  auto& image = options.image;
  image.class_token = true;
  image.global_pool = GlobalPool::kToken;
  image.pre_norm = true;
  image.patch_bias = false;
  image.gelu = Activation::kGeluExact;
  image.norm_eps = 1e-5;
  options.text.dim = size.clip_dim;
  options.text.depth = size.clip_depth;
}

void make_siglip(ImageTextOptions& options, const TextSizeRow& size) {
  options.image.global_pool = GlobalPool::kMap;
  options.image_projection = false;
  options.logit_scale = 10.0;
  options.has_logit_bias = true;
  auto& text = options.text;
  text.dim = options.image.dim;
  text.depth = size.siglip_depth;
  text.vocab_size = 32'000;
  text.context = 64;
  text.causal = false;
  text.pool = TextPool::kLast;
  text.projection_bias = true;
  text.gelu = Activation::kGeluTanh;
  text.norm_eps = 1e-6;
}

/// A kind of models, by the word before the name of the image tower.
struct ImageTextKind {
  std::string_view name;
  void (*make)(ImageTextOptions& options, const TextSizeRow& size);
};
constexpr std::array kImageTextKinds{ImageTextKind{"clip", make_clip},
                                     ImageTextKind{"siglip", make_siglip}};

/// Image towers whose models are listed: those that are trained on processors, and the usual ones.
constexpr std::array<std::string_view, 9> kListedTowers{
    "vit_ti16", "vit_s16", "vit_s32",          "vit_b16",        "vit_b32",
    "vit_l14",  "vit_l16", "softmoe_ti16_32e", "softmoe_s16_32e"};

[[noreturn]] void refuse(const std::string& name) {
  throw UsageError("model",
                   fmt::format("one of {} (clip_ or siglip_ before any own name of an image model)",
                               fmt::join(image_text_zoo_names(), ", ")),
                   "'" + printable_text(name) + "'" + did_you_mean(name, image_text_zoo_names()));
}

}  // namespace

ImageTextOptions image_text_preset(const std::string& name) {
  for (const auto& kind : kImageTextKinds) {
    const auto prefix = std::string(kind.name) + "_";
    if (!name.starts_with(prefix)) {
      continue;
    }
    const auto tower = name.substr(prefix.size());
    if (!is_model_name(tower) || tower.find("patch") != std::string::npos) {
      refuse(name);
    }
    ImageTextOptions options;
    options.image = model_preset(tower);
    options.image.num_classes = 0;
    const auto* const size =
        std::find_if(kTextSizes.begin(), kTextSizes.end(),
                     [&](const TextSizeRow& row) { return row.image_dim == options.image.dim; });
    TORCH_INTERNAL_ASSERT(size != kTextSizes.end());
    kind.make(options, *size);
    auto& text = options.text;
    text.heads = text.dim / kTextHeadDim;
    text.mlp_dim = 4 * text.dim;
    if (text.dim == options.image.dim) {
      text.heads = options.image.heads;
      text.mlp_dim = options.image.mlp_dim;
    }
    text.embed_dim = text.dim;
    return options;
  }
  refuse(name);
}

bool is_image_text_name(const std::string& name) {
  try {
    image_text_preset(name);
    return true;
  } catch (const UsageError&) {
    return false;
  }
}

std::string image_tower_name(const std::string& name) {
  for (const auto& kind : kImageTextKinds) {
    const auto prefix = std::string(kind.name) + "_";
    if (name.starts_with(prefix)) {
      return name.substr(prefix.size());
    }
  }
  return name;
}

std::vector<std::string> image_text_zoo_names() {
  std::vector<std::string> names;
  for (const auto& kind : kImageTextKinds) {
    for (const auto& tower : kListedTowers) {
      names.push_back(fmt::format("{}_{}", kind.name, tower));
    }
  }
  return names;
}

}  // namespace softmoe
