#include "train/run_length.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>

namespace softmoe {

RunLength::RunLength(const TrainOptions& options, int64_t steps_per_epoch)
    : steps_per_epoch_(steps_per_epoch) {
  TORCH_CHECK_VALUE(steps_per_epoch > 0, "RunLength: expected updates, found ", steps_per_epoch,
                    " in an epoch");
  total_steps_ = std::llround(options.epochs * static_cast<double>(steps_per_epoch));
  if (options.max_steps > 0) {
    total_steps_ = std::min(total_steps_, options.max_steps);
  }
}

double RunLength::epoch_of(int64_t step) const {
  return static_cast<double>(step) / static_cast<double>(steps_per_epoch_);
}

bool RunLength::is_due(double interval_epochs, int64_t step) const {
  if (step == 0) {
    return false;
  }
  const double interval = interval_epochs * static_cast<double>(steps_per_epoch_);
  const auto events_by = [interval](int64_t updates) {
    return std::floor(static_cast<double>(updates) / interval + 1e-9);
  };
  return step == total_steps_ || events_by(step) > events_by(step - 1);
}

bool RunLength::is_recorded(int64_t interval, int64_t step) const {
  return step % interval == 0 || step == total_steps_;
}

}  // namespace softmoe
