#pragma once
/// Where the time of some updates goes.

#include <memory>
#include <string>

#include "runtime/profiler.h"
#include "train/hook.h"
#include "train/run_folder.h"

namespace softmoe {

/// Records `--profile` updates of a sitting and writes profile.txt and profile-trace.json to the
/// run folder, which must outlive the hook. The table goes to the log, too.
class ProfileHook : public Hook {
 public:
  /// Updates before the recording, in which memory is taken and kernels are made.
  static constexpr int64_t kSkipped = 3;

  /// Measures the peak of matrix products.
  ProfileHook(RunFolder& folder, const TrainingState& state);

  void after_update(TrainingState& state, const ModelUpdate& update) override;
  /// Writes what there is if the run ends before that; says so if there is nothing.
  void at_end(TrainingState& state) override;

 private:
  void write(const TrainingState& state, int64_t updates);

  RunFolder& folder_;
  double peak_;  // GFLOP/s
  std::unique_ptr<Profiler> profiler_;
};

}  // namespace softmoe
