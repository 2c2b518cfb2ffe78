#include "cli/commands.h"
#include "cli/model_flags.h"
#include "cli/training_flags.h"
#include "core/error.h"
#include "train/upcycle_start.h"

namespace softmoe::cli {
namespace {

/// The options of the model before the user changes parts of it: those of the preset, or of the
/// dense checkpoint to start from, whose name then replaces that of `flags`.
VitOptions first_options(const CommandLine& line, UpcycleStartOptions& dense, ModelOptions& flags) {
  if (dense.checkpoint.empty()) {
    return model_preset(flags.model);
  }
  const auto source = upcycle_source(dense);
  if (line.given("model") && flags.model != source.name) {
    throw UsageError("--model", source.name + " as in --upcycle " + dense.checkpoint, flags.model);
  }
  flags.model = source.name;
  dense.resize.resolve(source.resize_mode);
  return source.options;
}

/// What `--upcycle-at` asks for of a run that ends with `model`.
std::optional<MidUpcycling> upcycling_of(const UpcycleStartOptions& dense, const VitOptions& model,
                                         const RunOptions& options) {
  if (dense.at.empty()) {
    return std::nullopt;
  }
  if (options.trainable != TrainableOptions{}) {
    throw UsageError("--upcycle-at", "a run in which all parameters learn",
                     "--trainable or --freeze");
  }
  const auto moment = parse_upcycle_moment(dense.at);
  check_moment(moment, options.train);
  return mid_upcycling(moment, model, dense.upcycling);
}

}  // namespace

void run_train(const std::vector<std::string>& arguments) {
  ModelOptions flags;
  UpcycleStartOptions dense;
  RunOptions options;
  auto model = model_preset(flags.model);
  CommandLine line("train",
                   "Train a model from scratch. Started again with the same --experiment, it "
                   "resumes where it was.");
  line.add("Model", flags);
  line.add("Upcycling", dense);
  add_training_flags(line, options, model);
  if (!line.parse(arguments)) {
    return;
  }
  model = first_options(line, dense, flags);
  apply_model_flags(line, model);
  const auto data = prepare_training(line, options, model);
  if (!line.given("head-bias")) {
    fit_head_bias(options.objectives.loss, model);
  }
  const auto upcycling = upcycling_of(dense, model, options);
  const auto& first = upcycling ? upcycling->from : model;
  const auto seed = options.train.seed;
  const auto resize_mode = dense.resize.resolve(ModelDescription{}.resize_mode);
  train_and_print(line, options, data,
                  dense.checkpoint.empty()
                      ? fresh_start(flags.model, first, seed, resize_mode)
                      : upcycle_start(dense, first, data.train->class_names(), seed),
                  /*teachers=*/{}, upcycling);
}

}  // namespace softmoe::cli
