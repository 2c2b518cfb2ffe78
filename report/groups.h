#pragma once
/// Results that belong together: those on one data set or under equal conditions.

#include <cstdint>
#include <string>
#include <vector>

#include "report/results.h"

namespace softmoe::report {

/// The runs on one data set. The group counts as fine-tuning if one of its runs does.
struct RunGroup {
  std::string data_set;
  bool finetuned = false;
  std::vector<TrainingRun> runs;
};
std::vector<RunGroup> run_groups(const std::vector<TrainingRun>& runs);

/// The curves on one data set.
struct FewShotGroup {
  std::string data_set;
  std::vector<int64_t> shots;  ///< of all curves, ascending
  std::vector<FewShotCurve> curves;

  /// The point of curve `index` at `number_of_shots`, or nullptr.
  const FewShotPoint* find(size_t index, int64_t number_of_shots) const;
};
std::vector<FewShotGroup> few_shot_groups(const std::vector<FewShotCurve>& curves);

/// Measurements under equal conditions.
struct ThroughputGroup {
  std::string title;  ///< "inference, batch 8, bfloat16"
  std::vector<ThroughputResult> records;
};
std::vector<ThroughputGroup> throughput_groups(const std::vector<ThroughputResult>& records);

}  // namespace softmoe::report
