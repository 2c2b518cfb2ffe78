#include "checkpoints/image_text_checkpoint.h"

#include <fmt/format.h>

#include "checkpoints/convert/image_text_foreign.h"
#include "checkpoints/convert/other_tensors.h"
#include "checkpoints/load_into.h"
#include "checkpoints/module_tensors.h"
#include "core/error.h"
#include "core/log.h"
#include "core/rng.h"
#include "ops/initialization.h"

namespace softmoe {

ImageTextModel make_image_text_model(const ImageTextOptions& options, int64_t seed,
                                     const torch::Device& device) {
  torch::manual_seed(stream_key(static_cast<uint64_t>(seed), "weights"));
  ImageTextModel model(options);
  model->to(device);
  return model;
}

ImageTextModel unfilled_image_text_model(const ImageTextOptions& options, torch::Dtype dtype) {
  const SkipInitialization skip;
  const DefaultDtypeGuard parameters(dtype);
  return ImageTextModel(options);
}

Checkpoint image_text_checkpoint(const ImageTextModel& model,
                                 const ImageTextDescription& description) {
  return {.metadata = to_metadata(description),
          .model = named_tensors(*model),
          .tokenizer = tokenizer_tensors(description.tokenizer)};
}

bool is_image_text_checkpoint(const std::filesystem::path& path) {
  return tensor_format(path) == TensorFormat::kHdf5 && load_metadata(path).contains(kImageTextKey);
}

bool is_image_text_file(const std::filesystem::path& path) {
  return is_foreign_image_text(path) || is_image_text_checkpoint(path);
}

namespace {

ImageTextWeights read_native(const std::filesystem::path& path) {
  auto checkpoint = load_checkpoint(path, {.optimizer = false, .tokenizer = true});
  ImageTextWeights read;
  read.description = image_text_description(checkpoint.metadata, path);
  read.description.tokenizer.data = tokenizer_data(checkpoint.tokenizer, path.string());
  read.metadata = std::move(checkpoint.metadata);
  read.weights = std::move(checkpoint.model);
  read.lines = {std::string(format_row(TensorFormat::kHdf5).title)};
  return read;
}

ImageTextWeights read_foreign(const std::filesystem::path& path) {
  auto model = read_foreign_image_text(path);
  ImageTextWeights read;
  read.lines = {fmt::format("{}, family {}", format_row(model.format).title, model.family)};
  if (!model.left_out.empty()) {
    read.lines.push_back("left out: " + grouped_names(model.left_out));
  }
  if (!model.notes.assumed.empty()) {
    read.lines.push_back("assumed: " + assumed_text(model.notes.assumed));
  }
  read.metadata = to_metadata(model.description);
  read.description = std::move(model.description);
  read.weights = std::move(model.weights);
  return read;
}

}  // namespace

ImageTextWeights load_image_text_weights(const std::filesystem::path& path) {
  return tensor_format(path) == TensorFormat::kHdf5 ? read_native(path) : read_foreign(path);
}

ImageTextWeights open_image_text_weights(const std::filesystem::path& path) {
  auto read = load_image_text_weights(path);
  if (tensor_format(path) != TensorFormat::kHdf5) {
    for (const auto& line : read.lines) {
      log_line(fmt::format("{}: {}", path.string(), line));
    }
  }
  return read;
}

LoadedImageText load_image_text(const std::filesystem::path& path, const torch::Device& device,
                                torch::Dtype dtype) {
  auto read = open_image_text_weights(path);
  LoadedImageText loaded;
  loaded.description = std::move(read.description);
  loaded.metadata = std::move(read.metadata);
  loaded.model = unfilled_image_text_model(loaded.description.options, dtype);
  load_into(*loaded.model, read.weights, path.string(), {.share_memory = true});
  loaded.model->to(device);
  loaded.model->eval();
  return loaded;
}

std::string write_image_text(const std::filesystem::path& path, TensorFormat format,
                             const std::string& naming, const ImageTextWeights& model) {
  const std::string ours = "ours";
  if (format == TensorFormat::kHdf5) {
    if (naming != ours) {
      throw UsageError("--names", "ours in a native checkpoint", naming);
    }
    save_checkpoint(path, {.metadata = to_metadata(model.description),
                           .model = model.weights,
                           .tokenizer = tokenizer_tensors(model.description.tokenizer)});
    return ours;
  }
  if (format != TensorFormat::kSafetensors) {
    throw UsageError("--format", "hdf5 or safetensors for a model of images and texts",
                     std::string(format_row(format).name));
  }
  const auto& family = image_text_family(naming, model.description.options);
  write_foreign_image_text(path, family, model.description, model.weights);
  return std::string(family.name);
}

}  // namespace softmoe
