#include <algorithm>

#include "checkpoints/load_into.h"
#include "checkpoints/model_checkpoint.h"
#include "checkpoints/surgery/adapt.h"
#include "cli/commands.h"
#include "cli/model_flags.h"
#include "cli/training_flags.h"
#include "core/error.h"
#include "core/log.h"

namespace softmoe::cli {
namespace {

/// Where fine-tuning starts from, and how its weights are carried over.
struct FinetuneOptions {
  std::string checkpoint;
  bool keep_head = false;
  bool random_weights = false;
  ResizeOptions resize;
  std::string optimizer_state = "reset";

  bool operator==(const FinetuneOptions&) const = default;
};

void describe(OptionTable& table, FinetuneOptions& options) {
  table.add("checkpoint", options.checkpoint, "the checkpoint to start from", {.unit = "file"});
  table.add("keep-head", options.keep_head,
            "keep the head where the classes are the same; else it starts anew");
  table.add("random-weights", options.random_weights,
            "take the checkpoint's shape alone and start from random weights, to compare with");
  describe(table, options.resize);
  table.add("optimizer-state", options.optimizer_state,
            "begin with no moments, or with the checkpoint's for parameters of the same shape",
            {.choices = {"reset", "keep"}});
}

/// Throws where the flags contradict each other or the checkpoint.
void check(const FinetuneOptions& flags, const VitOptions& source, const VitOptions& options) {
  if (flags.keep_head && options.num_classes != source.num_classes) {
    throw InputError("--keep-head: classes of the data set",
                     std::to_string(source.num_classes) + " as in the checkpoint",
                     std::to_string(options.num_classes));
  }
  if (flags.random_weights && flags.optimizer_state == "keep") {
    throw UsageError("--optimizer-state", "reset with --random-weights", "keep");
  }
}

/// The state that `checkpoint` has for parameters that are not in `fresh`.
Optimizer::State kept_state(NamedTensors state, const std::vector<std::string>& fresh,
                            const std::string& checkpoint) {
  if (state.empty()) {
    throw InputError("--optimizer-state keep: " + checkpoint, "the state of an optimizer", "none");
  }
  Optimizer::State kept;
  for (auto& [name, tensor] : state) {
    const auto parameter = name.substr(name.find('/') + 1);
    if (std::find(fresh.begin(), fresh.end(), parameter) == fresh.end()) {
      kept[name] = std::move(tensor);
    }
  }
  return kept;
}

/// The checkpoint's weights in a model of `options`.
TrainingStart adapted_start(const FinetuneOptions& flags, const ModelDescription& source,
                            const VitOptions& options, PositionResize resize_mode, int64_t seed) {
  if (flags.random_weights) {
    return {
        .model_name = source.name, .resize_mode = resize_mode, .model = make_model(options, seed)};
  }
  const bool keeps_state = flags.optimizer_state == "keep";
  auto checkpoint = load_checkpoint(flags.checkpoint, {.optimizer = keeps_state});
  auto weights = adapt_weights(std::move(checkpoint.model), source.options, options, resize_mode,
                               flags.keep_head, flags.checkpoint);
  auto model = make_model(options, seed);
  // Parameters that start anew take their initial values through the same check of names.
  const auto initial = named_tensors(*model);
  for (const auto& name : weights.fresh) {
    weights.tensors[name] = initial.at(name).detach().clone();
  }
  load_into(*model, weights.tensors, flags.checkpoint);
  for (const auto& change : weights.changed) {
    log_line("adapted " + change);
  }
  TrainingStart start{.model_name = source.name, .resize_mode = resize_mode, .model = model};
  if (keeps_state) {
    start.optimizer_state =
        kept_state(std::move(checkpoint.optimizer), weights.fresh, flags.checkpoint);
  }
  return start;
}

}  // namespace

void run_finetune(const std::vector<std::string>& arguments) {
  FinetuneOptions flags;
  VitOptions options;
  TrainingFlags training;
  CommandLine line("finetune",
                   "Train a checkpoint on another data set: other classes, image size or channels. "
                   "Options of the model that are not given are the checkpoint's.");
  line.add("Checkpoint", flags);
  training.declare(line, options);
  if (!line.parse(arguments)) {
    return;
  }
  if (flags.checkpoint.empty()) {
    throw UsageError("--checkpoint is missing: the checkpoint to start from");
  }
  const auto source = model_description(load_metadata(flags.checkpoint), flags.checkpoint);
  options = transfer_options(source.options);
  line.apply(options);
  const auto data = training.prepare(line, options);
  check(flags, source.options, options);
  const auto resize_mode = flags.resize.resolve(source.resize_mode);
  run_training(line, training, data,
               adapted_start(flags, source, options, resize_mode, training.train.seed));
}

}  // namespace softmoe::cli
