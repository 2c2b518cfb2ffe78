#include "cli/checkpoint_flags.h"

#include <fmt/format.h>

#include <filesystem>

#include "checkpoints/formats/tensor_format.h"
#include "datasets/formats/image_format.h"
#include "runtime/memory/memory_limit.h"

namespace softmoe::cli {

void describe_checkpoint(OptionTable& table, std::string& checkpoint) {
  table.add("checkpoint", checkpoint,
            "the model, as training saved it, or any file or folder that softmoe convert reads",
            {.unit = "file"});
}

void check_output(const std::string& checkpoint, const std::string& output) {
  namespace fs = std::filesystem;
  std::error_code none;
  if (is_image_name(output)) {
    throw UsageError("OUTPUT " + printable_text(output), "the name of a model's file",
                     "that of an image");
  }
  const auto file = model_file(checkpoint);
  const auto folder_of = [&none](const fs::path& path) {
    return fs::absolute(path, none).parent_path();
  };
  const bool is_shard = file.extension() == ".json" && fs::exists(output, none) &&
                        fs::path(output).extension() == ".safetensors" &&
                        fs::equivalent(folder_of(file), folder_of(output), none);
  if (is_shard || fs::equivalent(file, output, none)) {
    throw UsageError("OUTPUT " + printable_text(output),
                     "another file than those of CHECKPOINT, which is read", "one of them");
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
