#include "train/image_sizes.h"

#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/read_number.h"
#include "core/split_text.h"

namespace softmoe {
namespace {

const std::string kFlag = "--image-size-schedule";

/// "128@0.4" as a stage.
ImageSizeStage read_stage(const std::string& text) {
  const auto at = std::min(text.find('@'), text.size());
  const auto size = parse_number(text.substr(0, at));
  const auto from = parse_number(text.substr(std::min(at + 1, text.size())));
  const bool is_size = size && *size >= 1.0 && *size < 1e6 && *size == std::floor(*size);
  if (!is_size || !from || !(*from >= 0.0 && *from < 1.0)) {
    throw UsageError(kFlag, "SIZE@SHARE,... such as 128@0,160@0.4,224@0.8, with shares below 1",
                     "'" + printable_text(text) + "'");
  }
  return {.size = static_cast<int64_t>(*size), .from = *from};
}

void check_size(const ImageSizeStage& stage, const VitOptions& model) {
  if (stage.size % model.patch_size != 0 || stage.size > model.image_height()) {
    throw UsageError(kFlag,
                     fmt::format("multiples of --patch-size {} up to --img-size {}",
                                 model.patch_size, model.image_height()),
                     std::to_string(stage.size));
  }
}

}  // namespace

std::vector<ImageSizeStage> image_size_stages(const TrainOptions& options,
                                              const VitOptions& model) {
  std::vector<ImageSizeStage> stages;
  for (const auto& part : split_text(options.image_size_schedule, ',')) {
    stages.push_back(read_stage(trimmed(part, " ")));
    check_size(stages.back(), model);
    const bool grows = stages.size() == 1 ? stages[0].from == 0.0
                                          : stages.back().from > stages[stages.size() - 2].from;
    if (!grows) {
      throw UsageError(kFlag, "shares that begin at 0 and grow",
                       fmt::format("{:g}", stages.back().from));
    }
  }
  if (stages.empty()) {
    return stages;
  }
  if (model.image_height() != model.image_width()) {
    throw UsageError(kFlag, "a model of square images",
                     fmt::format("{} x {} px", model.image_height(), model.image_width()));
  }
  if (stages.back().size != model.image_height()) {
    throw UsageError(kFlag, fmt::format("--img-size {} as the last size", model.image_height()),
                     std::to_string(stages.back().size));
  }
  if (options.max_time.seconds > 0.0) {
    throw UsageError(kFlag, "a run of a number of epochs or steps", "--max-time");
  }
  return stages;
}

int64_t image_size_at(const std::vector<ImageSizeStage>& stages, int64_t step, int64_t total) {
  int64_t size = 0;
  for (const auto& stage : stages) {
    if (step >= std::llround(stage.from * static_cast<double>(total))) {
      size = stage.size;
    }
  }
  return size;
}

PreprocessOptions with_image_size(PreprocessOptions options, int64_t size) {
  options.train_crop = options.training_crop();  // what the final size stands for
  options.input_size = {options.input_size.front(), size, size};
  return options;
}

void try_image_sizes(VisionTransformer model, const std::vector<ImageSizeStage>& stages) {
  const torch::NoGradGuard no_grad;
  const bool was_training = model->is_training();
  model->eval();
  model->set_any_image_size(!stages.empty());
  for (const auto& stage : stages) {
    try {
      model->forward(at::zeros({2, model->options().in_chans, stage.size, stage.size}));
    } catch (const c10::Error& error) {
      throw UsageError(
          kFlag, "a router for any number of tokens",
          fmt::format("{}, which refuses images of {} px: {}", model->options().moe.router,
                      stage.size, split_text(error.what_without_backtrace(), '\n').front()));
    }
  }
  model->train(was_training);
}

}  // namespace softmoe
