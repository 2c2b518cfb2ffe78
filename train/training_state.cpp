#include "train/training_state.h"

#include <filesystem>
#include <set>
#include <utility>

#include "checkpoints/load_into.h"
#include "checkpoints/model_checkpoint.h"
#include "core/error.h"
#include "ops/compute_precision.h"
#include "train/optimizers.h"

namespace softmoe {
namespace {

/// Returns true for options that may differ when a run resumes, as no result depends on them.
bool may_change(const std::string& name) {
  static const std::set<std::string> names{"workers", "prefetch", "log-interval",    "device",
                                           "json",    "threads",  "checkpoint-hist", "idle-steps"};
  return names.contains(name);
}

void check_same_run(const Json& before, const Json& now, const std::string& folder) {
  for (const auto& [name, value] : now.items()) {
    if (!may_change(name) && before.contains(name) && before.at(name) != value) {
      throw UsageError("--" + name + ": the run in " + folder + " has " + before.at(name).dump() +
                       ", now it is " + value.dump() +
                       "; resume with the old value or choose another --experiment");
    }
  }
}

}  // namespace

int64_t TrainingState::images_per_update() const {
  return options().loader.batch_size * options().train.grad_accum_steps;
}

double TrainingState::images_per_second() const {
  const auto images = static_cast<double>(sitting.updates * images_per_update());
  return sitting.seconds > 0 ? images / sitting.seconds : 0.0;
}

double TrainingState::data_share() const {
  return sitting.seconds > 0 ? sitting.data_seconds / sitting.seconds : 0.0;
}

TrainingState make_training_state(TrainingSetup setup, int64_t steps_per_epoch) {
  complete_config(setup);
  const auto& options = setup.options;
  auto& model = *setup.start.model;
  const auto dtype = tensor_dtype(compute_precision(options.train.amp_dtype, setup.device));
  const auto learning = set_trainable(model, options.trainable);
  auto optimizer = make_optimizer(named_parameters(model), options.optimizer);
  const RunLength length(options.train, steps_per_epoch);
  const Schedule schedule(options.schedule, length.total_steps(),
                          static_cast<double>(steps_per_epoch));
  return {.setup = std::move(setup),
          .compute_dtype = dtype,
          .learning = learning,
          .optimizer = std::move(optimizer),
          .length = length,
          .schedule = schedule};
}

Checkpoint to_checkpoint(const TrainingState& state, const std::vector<std::string>& class_names) {
  const auto& start = state.setup.start;
  const auto& options = state.options();
  Checkpoint checkpoint;
  checkpoint.metadata =
      to_metadata({.name = start.model_name,
                   .options = start.model->options(),
                   .class_names = class_names,
                   .preprocess = options.preprocess,
                   .likelihood = loss_row(options.objectives.loss.loss).likelihood,
                   .resize_mode = start.resize_mode});
  checkpoint.metadata["config"] = state.setup.config;
  checkpoint.metadata["progress"] = to_json(state.progress, state.epoch());
  checkpoint.metadata["trainable"] = {{"parameters", state.learning.learning},
                                      {"share", state.learning.share()}};
  checkpoint.model = named_tensors(*start.model);
  checkpoint.optimizer = state.optimizer->state();
  return checkpoint;
}

void restore(TrainingState& state, const Checkpoint& checkpoint, const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path().string();
  check_same_run(checkpoint.metadata.at("config"), state.setup.config, folder);
  load_into(*state.model(), checkpoint.model, path);
  state.optimizer->load_state(checkpoint.optimizer);
  state.progress = run_progress(checkpoint.metadata.at("progress"));
}

}  // namespace softmoe
