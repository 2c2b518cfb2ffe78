#include "cli/commands.h"
#include "cli/model_flags.h"
#include "cli/training_flags.h"
#include "core/error.h"
#include "train/instruction_run.h"

namespace softmoe::cli {
namespace {

/// The options of the side of questions, without those of the image tower, which have flags of
/// their own.
struct QuestionSide {
  InstructionOptions model;
};

void describe(OptionTable& table, QuestionSide& side) {
  describe_instruction_side(table, side.model);
}

/// Declares the options of a run that tasks leave to the user: pictures and their order come from
/// the tasks, which are not mixed.
void add_tuning_flags(CommandLine& line, RunOptions& options, VitOptions& image) {
  line.add_derived("Parts of the model; those not given stay as they are", image);
  line.add("Preprocessing", options.preprocess);
  line.add("Loader", options.loader);
  line.add("Training", options.train);
  line.add("Parameters that learn", options.trainable);
  line.add("Optimizer", options.optimizer);
  line.add("Schedule", options.schedule);
  line.add("Loss", options.objectives.loss);
  line.add("Losses of routers", options.objectives.router_losses);
}

/// The name of the model: that of the checkpoint to start from, if there is one.
std::string tuned_name(const CommandLine& line, const ModelOptions& flags, const TuneStart& start,
                       const std::string& init) {
  const auto name = start.tuned   ? start.tuned->description.name
                    : start.image ? start.image->description.name
                                  : flags.model;
  if (line.given("model") && flags.model != name) {
    throw UsageError("--model", name + " as in --init " + init, flags.model);
  }
  return name;
}

/// The model that the flags ask for.
InstructionOptions flagged_model(const CommandLine& line, const TuneStart& start,
                                 const std::string& name) {
  VitOptions image;
  if (!start.tuned && !start.image) {
    image = changed_model(line, name);
  }
  QuestionSide side{tuned_options(start, image)};
  apply_model_flags(line, side.model.image);
  line.apply(side);
  return side.model;
}

}  // namespace

void run_tune(const std::vector<std::string>& arguments) {
  ModelOptions flags;
  TuneOptions tune;
  QuestionSide side{instruction_options(model_preset(flags.model))};
  RunOptions options;
  auto image = model_preset(flags.model);
  CommandLine line("tune",
                   "Train a model to follow instructions about images: many tasks at once, of "
                   "files or of sets that come along. Started again with the same --experiment, it "
                   "resumes where it was.");
  line.add("Model", flags);
  line.add("Tasks", tune);
  line.add_overrides("Text tower", side);
  add_tuning_flags(line, options, image);
  if (!line.parse(arguments)) {
    return;
  }
  if (tune.tasks.empty()) {
    throw UsageError("--tasks is missing: files of tasks, or sets that come along");
  }
  if (!options.train.pp.empty()) {
    throw UsageError("--pp", "no steps in softmoe tune", options.train.pp);
  }
  options.data.dataset = "tasks";
  auto start = read_tune_start(tune.init);
  const auto name = tuned_name(line, flags, start, tune.init);
  const auto model = flagged_model(line, start, name);
  auto run = instruction_run(name, model, std::move(start), tune, options, line.given_names());
  const TrainingData data{.train = std::make_unique<TaskSet>(*run->train_tasks),
                          .val = std::make_unique<TaskSet>(*run->val_tasks)};
  auto first = start_of(*run);
  train_and_print(line, options, data, std::move(first), {.instruction = std::move(run)});
}

}  // namespace softmoe::cli
