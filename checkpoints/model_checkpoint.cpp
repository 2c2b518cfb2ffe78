#include "checkpoints/model_checkpoint.h"

#include <fmt/format.h>

#include "checkpoints/convert/check_weights.h"
#include "checkpoints/convert/foreign_model.h"
#include "checkpoints/image_tower.h"
#include "checkpoints/load_into.h"
#include "core/log.h"

namespace softmoe {
namespace {

LoadedWeights native_weights(const std::filesystem::path& path) {
  auto checkpoint = load_image_checkpoint(path, {.optimizer = false});
  LoadedWeights loaded;
  loaded.description = model_description(checkpoint.metadata, path);
  loaded.metadata = std::move(checkpoint.metadata);
  loaded.weights = std::move(checkpoint.model);
  return loaded;
}

LoadedWeights foreign_weights(const std::filesystem::path& path) {
  auto model = read_foreign_model(path);
  check_weights(model.weights, model.description.options, find_family(model.family), path.string());
  for (const auto& line : reading_lines(model)) {
    log_line(fmt::format("{}: {}", path.string(), line));
  }
  auto metadata = to_metadata(model.description);
  return {.weights = std::move(model.weights),
          .description = std::move(model.description),
          .metadata = std::move(metadata)};
}

}  // namespace

LoadedWeights load_weights(const std::filesystem::path& path) {
  return tensor_format(path) == TensorFormat::kHdf5 ? native_weights(path) : foreign_weights(path);
}

LoadedModel load_model(const std::filesystem::path& path, const torch::Device& device,
                       torch::Dtype dtype) {
  auto read = load_weights(path);
  LoadedModel loaded;
  loaded.description = std::move(read.description);
  loaded.metadata = std::move(read.metadata);
  loaded.model = unfilled_model(loaded.description.options, dtype);
  load_into(*loaded.model, read.weights, path.string(), {.share_memory = true});
  loaded.model->to(device);
  loaded.model->eval();
  return loaded;
}

}  // namespace softmoe
