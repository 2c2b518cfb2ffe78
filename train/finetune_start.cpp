#include "train/finetune_start.h"

#include <algorithm>
#include <utility>

#include "checkpoints/image_tower.h"
#include "checkpoints/load_into.h"
#include "checkpoints/surgery/adapt.h"
#include "core/error.h"
#include "core/log.h"
#include "train/data_identity.h"

namespace softmoe {
namespace {

/// Throws if the options contradict each other or the checkpoint.
void check(const FinetuneOptions& options, const ModelDescription& source, const VitOptions& model,
           const std::vector<std::string>& class_names) {
  if (options.keep_head && model.num_classes != source.options.num_classes) {
    throw InputError("--keep-head: classes of the data set",
                     std::to_string(source.options.num_classes) + " as in the checkpoint",
                     std::to_string(model.num_classes));
  }
  if (options.keep_head && !source.class_names.empty()) {
    check_same_classes(source.class_names, class_names, "--keep-head: the data set");
  }
  if (options.random_weights && options.keeps_optimizer_state()) {
    throw UsageError("--optimizer-state", "reset with --random-weights", "keep");
  }
}

/// The part of `state` that belongs to parameters which are not in `fresh`.
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

/// Sets the parameters of `model` to `weights`; those that start anew keep their initial values.
void load_adapted(VisionTransformer& model, AdaptedWeights& weights,
                  const std::string& checkpoint) {
  // Initial values go through the same check of names.
  const auto initial = named_tensors(*model);
  for (const auto& name : weights.fresh) {
    weights.tensors[name] = initial.at(name).detach().clone();
  }
  load_into(*model, weights.tensors, checkpoint);
  for (const auto& change : weights.changed) {
    log_line("adapted " + change);
  }
}

ModelDescription description_of(const FinetuneOptions& options) {
  return model_description(load_image_metadata(options.checkpoint), options.checkpoint);
}

}  // namespace

void describe(OptionTable& table, FinetuneOptions& options) {
  table.add("checkpoint", options.checkpoint, "the checkpoint to start from", {.unit = "file"});
  table.add("keep-head", options.keep_head,
            "keep the head if the classes are the same; without it the head starts anew");
  table.add("random-weights", options.random_weights,
            "start from random weights in a model of the checkpoint's shape, to compare with");
  describe(table, options.resize);
  table.add("optimizer-state", options.optimizer_state,
            "start with no moments, or with the checkpoint's for parameters of the same shape");
}

ModelDescription finetune_source(const FinetuneOptions& options) {
  if (options.checkpoint.empty()) {
    throw UsageError("--checkpoint is missing: the checkpoint to start from");
  }
  auto source = description_of(options);
  source.options = transfer_options(source.options);
  return source;
}

TrainingStart finetune_start(const FinetuneOptions& options, const VitOptions& model,
                             const std::vector<std::string>& class_names, int64_t seed) {
  const auto source = description_of(options);
  check(options, source, model, class_names);
  auto resize = options.resize;
  auto start = fresh_start(source.name, model, seed, resize.resolve(source.resize_mode));
  if (options.random_weights) {
    return start;
  }
  const bool keeps_state = options.keeps_optimizer_state();
  auto checkpoint = load_image_checkpoint(options.checkpoint, {.optimizer = keeps_state});
  auto weights = adapt_weights(std::move(checkpoint.model), source.options, model,
                               start.resize_mode, options.keep_head, options.checkpoint);
  load_adapted(start.model, weights, options.checkpoint);
  if (keeps_state) {
    start.optimizer_state =
        kept_state(std::move(checkpoint.optimizer), weights.fresh, options.checkpoint);
  }
  return start;
}

}  // namespace softmoe
