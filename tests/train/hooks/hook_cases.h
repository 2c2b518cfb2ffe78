#pragma once
/// A run under way, for tests of single hooks.

#include "core/log.h"
#include "train/hook.h"
#include "train/tiny_run.h"

namespace softmoe::test {

/// The tiny run after `step` of its 30 updates, 10 per epoch.
inline TrainingState state_at(int64_t step, const TinyRun& run = tiny_run()) {
  auto state = make_training_state(setup_of(run), {}, /*updates_per_epoch=*/10);
  state.progress.step = step;
  state.progress.train_seconds = 8.0;
  state.sitting = {.updates = 4, .seconds = 2.0, .data_seconds = 0.5};
  return state;
}

/// An evaluation at the step of `state`.
inline void set_evaluation(TrainingState& state, double top1, bool is_best) {
  state.evaluation = {.step = state.progress.step,
                      .result = {.examples = 40,
                                 .top1 = top1,
                                 .top5 = 0.875,
                                 .balanced_accuracy = 0.625,
                                 .loss = 0.5},
                      .train_loss = 1.25,
                      .is_best = is_best};
}

/// An update with the routing of one batch: expert 1 of block 2 gets no token.
inline ModelUpdate some_update() {
  ModelUpdate update{.loss = 0.75, .gradient_norm = 3.0, .batches = {}};
  StepResult batch{.loss = torch::scalar_tensor(0.75), .loads = {}, .values = {}};
  batch.loads[2] = {.load = torch::tensor({0.25F, 0.0F, 0.75F}),
                    .importance = torch::tensor({0.5F, 0.0F, 0.5F}),
                    .dropped = torch::scalar_tensor(0.125),
                    .entropy = torch::scalar_tensor(0.25)};
  batch.values[2]["z"] = torch::scalar_tensor(2.0);
  update.batches.push_back(batch);
  return update;
}

/// Collects the lines of the log for its life.
class LogLines {
 public:
  LogLines() : before_(set_log_sink([this](const std::string& line) { lines_.push_back(line); })) {}
  ~LogLines() { set_log_sink(before_); }
  LogLines(const LogLines&) = delete;
  LogLines& operator=(const LogLines&) = delete;

  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::vector<std::string> lines_;
  LogSink before_;
};

}  // namespace softmoe::test
