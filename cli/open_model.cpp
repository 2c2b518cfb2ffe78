#include "cli/open_model.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/memory.h"
#include "eval/table.h"
#include "vit/cost.h"

namespace softmoe::cli {

namespace {

/// Throws InputError where the weights of `checkpoint`, `parameter_bytes` each, take more memory
/// than there is.
void check_memory(const std::string& checkpoint, int64_t parameter_bytes,
                  const torch::Device& device) {
  const auto description = model_description(load_metadata(checkpoint), checkpoint);
  const auto bytes = model_cost(description.options).parameters() * parameter_bytes;
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
  check_memory(checkpoint, sizeof(c10::BFloat16), device);  // what a parameter takes at least
  return load_weights(checkpoint);
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
