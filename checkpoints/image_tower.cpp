#include "checkpoints/image_tower.h"

#include <fmt/format.h>

#include "checkpoints/image_text_description.h"
#include "checkpoints/model_description.h"
#include "core/log.h"
#include "vit/image_text_zoo.h"

namespace softmoe {
namespace {

constexpr std::string_view kTower = "image.";

bool has_texts(const Json& metadata) { return metadata.contains(kImageTextKey); }

Json tower_metadata(const Json& metadata, const ImageTextDescription& both) {
  return derived_metadata(metadata, {.name = image_tower_name(both.name),
                                     .options = both.options.image,
                                     .class_names = {},
                                     .preprocess = both.preprocess,
                                     .resize_mode = both.resize_mode});
}

/// Those of `tensors` whose names begin with "image." behind the last "/", without it there.
NamedTensors tower_tensors(const NamedTensors& tensors) {
  NamedTensors kept;
  for (const auto& [name, tensor] : tensors) {
    const auto begin = name.rfind('/') + 1;  // 0 if there is none
    if (name.compare(begin, kTower.size(), kTower) == 0) {
      kept[name.substr(0, begin) + name.substr(begin + kTower.size())] = tensor;
    }
  }
  return kept;
}

}  // namespace

Json load_image_metadata(const std::filesystem::path& path) {
  const auto metadata = load_metadata(path);
  return has_texts(metadata) ? tower_metadata(metadata, image_text_description(metadata, path))
                             : metadata;
}

NamedTensors without_heads(NamedTensors weights) {
  std::erase_if(weights, [](const auto& item) {
    return item.first.starts_with("head.") || item.first.starts_with("head_dist.");
  });
  return weights;
}

Checkpoint load_image_checkpoint(const std::filesystem::path& path, const CheckpointParts& parts) {
  auto checkpoint = load_checkpoint(path, parts);
  if (!has_texts(checkpoint.metadata)) {
    return checkpoint;
  }
  const auto both = image_text_description(checkpoint.metadata, path);
  log_line(fmt::format("{}: the image tower of {}", path.string(), both.name));
  return {.metadata = tower_metadata(checkpoint.metadata, both),
          .model = tower_tensors(checkpoint.model),
          .optimizer = tower_tensors(checkpoint.optimizer),
          .ema = tower_tensors(checkpoint.ema)};
}

}  // namespace softmoe
