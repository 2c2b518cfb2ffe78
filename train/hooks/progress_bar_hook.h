#pragma once
/// The progress bar of a run on a terminal.

#include <memory>

#include "core/progress.h"
#include "train/hook.h"

namespace softmoe {

/// Draws a bar of the updates if the program shows bars, and removes it before evaluations, which
/// have bars of their own: comes before the hook that evaluates.
class ProgressBarHook : public Hook {
 public:
  void after_update(TrainingState& state, const ModelUpdate& update) override;
  void at_evaluation(TrainingState& state) override;

 private:
  std::unique_ptr<Progress> progress_;
};

}  // namespace softmoe
