#include "checkpoints/model_checkpoint.h"
#include "cli/commands.h"
#include "cli/model_flags.h"
#include "cli/training_flags.h"

namespace softmoe::cli {

void run_train(const std::vector<std::string>& arguments) {
  ModelOptions flags;
  auto options = model_preset(flags.model);
  TrainingFlags training;
  CommandLine line("train",
                   "Train a model from scratch. Started again with the same --experiment, it "
                   "resumes where it was.");
  line.add("Model", flags);
  line.add("Parts of the model", options);
  training.declare(line);
  if (!line.parse(arguments)) {
    return;
  }
  options = model_preset(flags.model);
  line.apply(options);
  const auto data = open_training_data(training.data);
  if (!line.given("num-classes")) {
    options.num_classes = static_cast<int64_t>(data.train->class_names().size());
  }
  if (!line.given("head-bias") && training.loss.loss == "sigmoid") {
    // Every class starts as likely as it is among equals, as in the reference.
    options.head_bias = -std::log(static_cast<double>(options.num_classes));
  }
  training.fit_to_model(line, options);
  run_training(line, training, data, flags.model, make_model(options, training.train.seed));
}

}  // namespace softmoe::cli
