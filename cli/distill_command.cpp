#include "cli/commands.h"
#include "cli/model_flags.h"
#include "cli/training_flags.h"
#include "train/distill_run.h"

namespace softmoe::cli {

void run_distill(const std::vector<std::string>& arguments) {
  ModelOptions flags;
  DistillOptions distill;
  RunOptions options;
  auto model = model_preset(flags.model);
  CommandLine line("distill",
                   "Train a model, the student, to give what other models, its teachers, give for "
                   "the same images. Started again with the same --experiment, it resumes.");
  line.add("Model", flags);
  line.add("Teachers", distill.teachers);
  line.add("Outputs of the teachers", distill.store);
  line.add("Initial weights", distill.start);
  line.add("Distillation", distill.loss);
  add_training_flags(line, options, model);
  if (!line.parse(arguments)) {
    return;
  }
  model = changed_model(line, flags.model);
  const auto data = prepare_training(line, options, model);
  if (!line.given("head-bias")) {
    fit_head_bias(options.objectives.loss, model);
  }
  auto run = distill_run(distill, flags.model, model, options, data, line.device());
  train_and_print(line, options, data, std::move(run.start),
                  {.teacher = std::move(run.teacher), .matcher = std::move(run.matcher)});
}

}  // namespace softmoe::cli
