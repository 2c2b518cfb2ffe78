#pragma once
/// When a run turns its dense model into one with MoE layers, and what that means for its speed.

#include <string>

#include "checkpoints/surgery/upcycle.h"
#include "train/run_length.h"
#include "train/run_progress.h"

namespace softmoe {

/// A moment of a run.
struct UpcycleMoment {
  enum class Unit { kShare, kSteps, kEpochs, kSeconds };

  Unit unit = Unit::kShare;
  double value = 0.0;

  bool operator==(const UpcycleMoment&) const = default;
};

/// The moment that `text` is: a share of the run such as 0.3 or 30%, or 500steps, 2epochs or a time
/// such as 5min. Throws UsageError for other texts and for moments at the start of a run.
UpcycleMoment parse_upcycle_moment(const std::string& text);

/// Throws UsageError if a run with `options` certainly ends before the moment, or at it.
void check_moment(const UpcycleMoment& moment, const TrainOptions& options);

/// Upcycling in the middle of a run.
struct MidUpcycling {
  UpcycleMoment moment;
  VitOptions from;  ///< the dense model
  VitOptions to;    ///< the model with MoE layers
  UpcycleOptions options;
  double cost_ratio = 1.0;  ///< of the expected time of an update afterwards to that before
};

/// Upcycling at `moment` of a run of a model that ends as `to`. Throws UsageError if `to` has no
/// MoE layers, or experts of a width that `options` do not allow.
MidUpcycling mid_upcycling(const UpcycleMoment& moment, const VitOptions& to,
                           const UpcycleOptions& options);

/// Returns true if the run has come to the moment: of a run of limited time, shares are of its
/// time.
bool is_reached(const UpcycleMoment& moment, const RunLength& length, const RunProgress& progress);

/// What is left of a run after at least one update.
struct RunForecast {
  double steps = 0.0;         ///< updates that are left; of a run that is not limited in time exact
  double seconds = 0.0;       ///< of these
  double first_update = 0.0;  ///< mean seconds of an update of the dense model
  double last_update = 0.0;   ///< and of the other; the expected ones until there are some
};

RunForecast forecast(const MidUpcycling& upcycling, const RunLength& length,
                     const RunProgress& progress);

}  // namespace softmoe
