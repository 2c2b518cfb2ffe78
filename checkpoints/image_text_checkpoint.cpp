#include "checkpoints/image_text_checkpoint.h"

#include <fmt/format.h>

#include "checkpoints/convert/image_text_foreign.h"
#include "checkpoints/formats/tensor_format.h"
#include "checkpoints/load_into.h"
#include "checkpoints/module_tensors.h"
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

namespace {

/// A model of a file, with its weights and without a module.
struct ReadImageText {
  NamedTensors weights;
  ImageTextDescription description;
  Json metadata;
};

ReadImageText read_native(const std::filesystem::path& path) {
  auto checkpoint = load_checkpoint(path, {.optimizer = false, .tokenizer = true});
  ReadImageText read;
  read.description = image_text_description(checkpoint.metadata, path);
  read.description.tokenizer.data = tokenizer_data(checkpoint.tokenizer, path.string());
  read.metadata = std::move(checkpoint.metadata);
  read.weights = std::move(checkpoint.model);
  return read;
}

ReadImageText read_foreign(const std::filesystem::path& path) {
  auto model = read_foreign_image_text(path);
  log_line(fmt::format("{}: {}, family {}", path.string(), format_row(model.format).title,
                       model.family));
  if (!model.notes.assumed.empty()) {
    log_line(fmt::format("{}: assumed: {}", path.string(), assumed_text(model.notes.assumed)));
  }
  auto metadata = to_metadata(model.description);
  return {.weights = std::move(model.weights),
          .description = std::move(model.description),
          .metadata = std::move(metadata)};
}

}  // namespace

LoadedImageText load_image_text(const std::filesystem::path& path, const torch::Device& device,
                                torch::Dtype dtype) {
  auto read = tensor_format(path) == TensorFormat::kHdf5 ? read_native(path) : read_foreign(path);
  LoadedImageText loaded;
  loaded.description = std::move(read.description);
  loaded.metadata = std::move(read.metadata);
  loaded.model = unfilled_image_text_model(loaded.description.options, dtype);
  load_into(*loaded.model, read.weights, path.string(), {.share_memory = true});
  loaded.model->to(device);
  loaded.model->eval();
  return loaded;
}

}  // namespace softmoe
