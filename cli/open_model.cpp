#include "cli/open_model.h"

#include <fmt/format.h>

#include "checkpoints/formats/tensor_format.h"
#include "core/error.h"
#include "core/log.h"
#include "core/table.h"
#include "runtime/memory.h"
#include "vit/cost.h"

namespace softmoe::cli {

namespace {

/// What the weights of `checkpoint` take at least, `parameter_bytes` each; of files that do not
/// describe their model, their length.
int64_t weight_bytes(const std::string& checkpoint, int64_t parameter_bytes) {
  if (tensor_format(checkpoint) == TensorFormat::kHdf5) {
    const auto description = model_description(load_metadata(checkpoint), checkpoint);
    return model_cost(description.options).parameters() * parameter_bytes;
  }
  std::error_code is_folder;
  const auto bytes = std::filesystem::file_size(checkpoint, is_folder);
  return is_folder ? 0 : static_cast<int64_t>(bytes);
}

/// Throws InputError where the weights of `checkpoint`, `parameter_bytes` each, take more memory
/// than there is.
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

void describe_checkpoint(OptionTable& table, std::string& checkpoint) {
  table.add("checkpoint", checkpoint,
            "the model, as training saved it, or any file or folder that softmoe convert reads",
            {.unit = "file"});
}

LoadedModel open_model(const std::string& checkpoint, const torch::Device& device) {
  check_memory(checkpoint, sizeof(float), device);
  return load_model(checkpoint, device);
}

LoadedWeights open_weights(const std::string& checkpoint, const torch::Device& device) {
  check_memory(checkpoint, sizeof(c10::BFloat16), device);  // what a parameter takes at least
  return load_weights(checkpoint);
}

void note_odd_values(const NamedTensors& weights, const std::string& checkpoint) {
  for (const auto& [name, tensor] : weights) {
    if (!tensor.is_floating_point() || tensor.numel() == 0) {
      continue;
    }
    const auto [least, most] = tensor.aminmax();  // [], NaN where there is one
    if (!std::isfinite(least.item<double>()) || !std::isfinite(most.item<double>())) {
      log_line(fmt::format("{}: note: tensor '{}' has NaN or infinite values", checkpoint, name));
      return;
    }
  }
}

void describe_inference_dtype(OptionTable& table, std::string& dtype,
                              const std::string& automatic) {
  table.add("amp-dtype", dtype,
            "compute dtype; auto: " + automatic +
                "; int8: weights and activations of 8 bits; int8_experts: bfloat16 with the "
                "weights of experts in 8 bits",
            {.choices = {"auto", "float32", "bfloat16", "int8", "int8_experts"}});
}

std::string checkpoint_label(const std::string& checkpoint) {
  std::error_code unknown;
  const auto path = std::filesystem::weakly_canonical(checkpoint, unknown);
  const auto folder = path.parent_path();
  const bool is_run = std::filesystem::exists(folder / "config.toml", unknown);
  return valid_utf8((is_run ? folder.filename() : path.stem()).string());
}

void describe_label(OptionTable& table, std::string& label) {
  table.add("label", label, "what tables and plots call this model",
            {.follows = "the name of the checkpoint's run"});
}

void compute_batches(const torch::Device& device, int64_t batch_size,
                     const std::function<void()>& work) {
  const MemoryLimit limit(device);
  within_memory(fmt::format("--batch-size {}", batch_size), work);
}

}  // namespace softmoe::cli
