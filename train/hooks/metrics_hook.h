#pragma once
/// The record files of a run folder: metrics.jsonl, summary.csv, evaluations.jsonl and
/// timing.jsonl.

#include "train/hook.h"
#include "train/run_folder.h"

namespace softmoe {

/// Writes every record and every evaluation to the run folder, which must outlive the hook.
class MetricsHook : public Hook {
 public:
  explicit MetricsHook(RunFolder& folder) : folder_(folder) {}

  void at_record(TrainingState& state, TrainingRecord& record) override;
  void at_evaluation(TrainingState& state) override;

 private:
  RunFolder& folder_;
};

}  // namespace softmoe
