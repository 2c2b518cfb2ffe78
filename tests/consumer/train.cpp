#include "tasks.h"
#include "train/finetune_start.h"
#include "train/run_training.h"
#include "vit/zoo.h"

namespace consumer {

namespace {

/// A few steps on the digits, which are part of the library.
softmoe::RunOptions short_run(const Folder& folder, const std::string& experiment) {
  softmoe::RunOptions options;
  options.data.dataset = "digits";
  options.loader.batch_size = 32;
  options.train.max_steps = 5;
  options.train.output = (folder / "runs").string();
  options.train.experiment = experiment;
  options.schedule.warmup_epochs = 0.0;
  return options;
}

}  // namespace

void train(const Folder& folder) {
  auto options = short_run(folder, "upstream");
  const std::string name = "softmoe_ti16_8e";
  auto model = softmoe::model_preset(name);
  model.img_size = {16};
  model.patch_size = 4;
  model.depth = 2;
  const auto data = softmoe::open_training_data(options.data);
  softmoe::fit_options(options, model, data);
  const auto result = softmoe::run_training(
      {.start = softmoe::fresh_start(name, model, options.train.seed), .options = options}, data);
  check(result.steps == 5, "number of steps");
  check(std::filesystem::exists(upstream_checkpoint(folder)), "checkpoint of the run");
}

void finetune(const Folder& folder) {
  auto options = short_run(folder, "finetuned");
  options.trainable.trainable = {"head"};
  softmoe::FinetuneOptions finetuning;
  finetuning.checkpoint = upstream_checkpoint(folder).string();
  auto model = softmoe::finetune_source(finetuning).options;
  model.img_size = {24};  // more patches: the positions are resized
  const auto data = softmoe::open_training_data(options.data);
  softmoe::fit_options(options, model, data);
  const auto result =
      softmoe::run_training({.start = softmoe::finetune_start(
                                 finetuning, model, data.train->class_names(), options.train.seed),
                             .options = options},
                            data);
  check(result.steps == 5, "number of steps of fine-tuning");
  check(result.parameters.learning < result.parameters.total, "frozen parameters");
}

}  // namespace consumer
