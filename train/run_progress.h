#pragma once
/// How far a run is.

#include <cstdint>

#include "core/options.h"

namespace softmoe {

/// The counters and sums that a checkpoint keeps.
struct RunProgress {
  int64_t step = 0;             ///< updates done
  int64_t skipped_updates = 0;  ///< whose batches were left out (OnNan)
  int64_t evaluated_step = -1;
  double interval_loss = 0.0;  ///< sum since the last record
  int64_t interval_updates = 0;
  double epoch_loss = 0.0;  ///< sum since the last evaluation
  int64_t epoch_updates = 0;
  double best_score = -1.0;
  int64_t best_step = 0;
  int64_t evaluations_since_best = 0;
  double train_seconds = 0.0;   ///< of all sittings; counts in runs of limited time alone
  double ended_max_time = 0.0;  ///< seconds of the limit at which the run has ended; 0: none
  int64_t upcycled_step = -1;   ///< updates of the dense model (MidUpcycling); -1: not upcycled yet
  double upcycled_seconds = 0.0;  ///< of `train_seconds`, those of these updates and of upcycling

  bool operator==(const RunProgress&) const = default;
};

/// As metadata of a checkpoint, with `epoch` behind the step.
Json to_json(const RunProgress& progress, double epoch);
/// From metadata of a checkpoint.
RunProgress run_progress(const Json& json);

}  // namespace softmoe
