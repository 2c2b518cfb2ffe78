#include "checkpoints/open_model.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "checkpoints/formats/tensor_format.h"
#include "checkpoints/image_tower.h"
#include "core/error.h"
#include "core/log.h"
#include "core/text_format.h"
#include "runtime/memory/memory_limit.h"
#include "runtime/memory/memory_use.h"
#include "vit/cost.h"

namespace softmoe {
namespace {

/// Min memory of the weights of `checkpoint`, at `parameter_bytes` per parameter; the length of a
/// file that does not describe its model.
int64_t weight_bytes(const std::string& checkpoint, int64_t parameter_bytes) {
  if (tensor_format(checkpoint) == TensorFormat::kHdf5) {
    const auto description = model_description(load_image_metadata(checkpoint), checkpoint);
    return model_cost(description.options).parameters() * parameter_bytes;
  }
  std::error_code is_folder;
  const auto bytes = std::filesystem::file_size(checkpoint, is_folder);
  return is_folder ? 0 : static_cast<int64_t>(bytes);
}

/// Throws InputError if the weights of `checkpoint`, at `parameter_bytes` per parameter, take more
/// memory than is available.
void check_memory(const std::string& checkpoint, int64_t parameter_bytes,
                  const torch::Device& device) {
  const int64_t bytes = weight_bytes(checkpoint, parameter_bytes);
  for (const auto& place : {torch::Device(torch::kCPU), device}) {
    const auto available = available_memory_bytes(place);
    if (bytes > available) {
      throw InputError(checkpoint,
                       fmt::format("at most the {} of memory available on {}",
                                   format_bytes(available), place.str()),
                       format_bytes(bytes) + " of weights");
    }
  }
}

}  // namespace

LoadedModel open_model(const std::string& checkpoint, const torch::Device& device) {
  check_memory(checkpoint, sizeof(float), device);
  return load_model(checkpoint, device);
}

LoadedWeights open_weights(const std::string& checkpoint, const torch::Device& device) {
  check_memory(checkpoint, sizeof(c10::BFloat16), device);  // the smallest dtype of weights
  return load_weights(checkpoint);
}

void note_odd_values(const NamedTensors& weights, const std::string& checkpoint) {
  for (const auto& [name, tensor] : weights) {
    if (!tensor.is_floating_point() || tensor.numel() == 0) {
      continue;
    }
    const auto [min, max] = tensor.aminmax();  // [], NaN if any value is
    if (!std::isfinite(min.item<double>()) || !std::isfinite(max.item<double>())) {
      log_line(fmt::format("{}: note: tensor '{}' has NaN or infinite values", checkpoint, name));
      return;
    }
  }
}

}  // namespace softmoe
