#include "checkpoints/model_checkpoint.h"
#include "cli/commands.h"
#include "cli/dense_start.h"
#include "cli/model_flags.h"
#include "cli/training_flags.h"
#include "core/error.h"

namespace softmoe::cli {
namespace {

/// The options of the model before the user changes parts of it: those of the preset, or of the
/// dense checkpoint to start from, whose name then stands for the model.
VitOptions first_options(const CommandLine& line, DenseStart& dense, ModelOptions& flags) {
  if (!dense.asked()) {
    return model_preset(flags.model);
  }
  auto source = dense.description();
  if (line.given("model") && flags.model != source.name) {
    throw UsageError("--model", source.name + " as in --upcycle " + dense.upcycle, flags.model);
  }
  flags.model = source.name;
  dense.resize.resolve(source.resize_mode);
  source.options.moe = {};
  source.options.moe_blocks = "last_half";
  return source.options;
}

}  // namespace

void run_train(const std::vector<std::string>& arguments) {
  ModelOptions flags;
  DenseStart dense;
  auto options = model_preset(flags.model);
  TrainingFlags training;
  CommandLine line("train",
                   "Train a model from scratch. Started again with the same --experiment, it "
                   "resumes where it was.");
  line.add("Model", flags);
  line.add("Upcycling", dense);
  training.declare(line, options);
  if (!line.parse(arguments)) {
    return;
  }
  options = first_options(line, dense, flags);
  line.apply(options);
  const auto data = training.prepare(line, options);
  if (!line.given("head-bias") && training.loss.loss == "sigmoid") {
    // Every class starts as likely as it is among equals, as in the reference.
    options.head_bias = -std::log(static_cast<double>(options.num_classes));
  }
  const auto seed = training.train.seed;
  const auto resize_mode = dense.resize.resolve(ModelDescription{}.resize_mode);
  run_training(line, training, data,
               dense.asked() ? dense.start(options, data.train->class_names(), resize_mode, seed)
                             : TrainingStart{.model_name = flags.model,
                                             .resize_mode = resize_mode,
                                             .model = make_model(options, seed)});
}

}  // namespace softmoe::cli
