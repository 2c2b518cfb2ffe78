#include "cli/commands.h"
#include "cli/model_flags.h"
#include "cli/training_flags.h"
#include "train/finetune_start.h"

namespace softmoe::cli {

void run_finetune(const std::vector<std::string>& arguments) {
  FinetuneOptions flags;
  RunOptions options;
  VitOptions model;
  CommandLine line("finetune",
                   "Train a checkpoint on another data set: other classes, image size or channels. "
                   "Options of the model that are not given are the checkpoint's.");
  line.add("Checkpoint", flags);
  line.add_operand("checkpoint");
  add_training_flags(line, options, model);
  if (!line.parse(arguments)) {
    return;
  }
  const auto source = finetune_source(flags);
  flags.resize.resolve(source.resize_mode);
  model = source.options;
  apply_model_flags(line, model);
  const auto data = prepare_training(line, options, model);
  train_and_print(line, options, data,
                  finetune_start(flags, model, data.train->class_names(), options.train.seed));
}

}  // namespace softmoe::cli
