#pragma once
/// The best averages of weights of a run.

#include <string>

#include "train/hook.h"
#include "train/run_folder.h"

namespace softmoe {

/// Saves each average of weights as a model of its own, "ema-<decay>.h5", when an evaluation is its
/// best so far. Comes after the hook that evaluates.
class AverageHook : public Hook {
 public:
  /// `folder` must outlive the hook.
  explicit AverageHook(RunFolder& folder) : folder_(folder) {}

  void at_evaluation(TrainingState& state) override;
  void save_state(const TrainingState& state, Json& progress) const override;
  void load_state(TrainingState& state, const Json& progress) override;

 private:
  RunFolder& folder_;
};

}  // namespace softmoe
