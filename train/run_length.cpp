#include "train/run_length.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace softmoe {
namespace {

constexpr int64_t kUnknown = std::numeric_limits<int64_t>::max();

/// The number of updates that no run with these options exceeds, whatever its speed.
int64_t step_limit(const TrainOptions& options, const UpdateUnits& units) {
  int64_t limit = kUnknown;
  if (options.max_time.seconds == 0.0) {
    limit = std::llround(options.epochs * static_cast<double>(units.per_epoch));
  }
  if (options.max_steps > 0) {
    limit = std::min(limit, options.max_steps);
  }
  if (options.max_examples > 0) {
    limit = std::min(limit, std::max<int64_t>(1, options.max_examples / units.images));
  }
  return limit;
}

}  // namespace

RunLength::RunLength(const TrainOptions& options, const UpdateUnits& units)
    : units_(units), max_time_(options.max_time) {
  TORCH_CHECK_VALUE(units.per_epoch > 0, "RunLength: expected updates, found ", units.per_epoch,
                    " in an epoch");
  limit_ = step_limit(options, units);
  total_steps_ = limit_;
}

std::string RunLength::total_text() const {
  if (total_steps_ == kUnknown) {
    return "an unknown number";
  }
  return fmt::format("{}{}", is_timed() && total_steps_ != limit_ ? "about " : "", total_steps_);
}

void RunLength::fit(int64_t step, double seconds) {
  if (!is_timed() || step == 0 || seconds <= 0.0) {
    return;
  }
  end_near(step, max_time_.seconds * static_cast<double>(step) / seconds);
}

void RunLength::expect(int64_t step, double steps_left) {
  if (is_timed()) {
    end_near(step, static_cast<double>(step) + steps_left);
  }
}

void RunLength::end_near(int64_t step, double total) {
  const int64_t last = total < 1e15 ? std::llround(total) : kUnknown;
  total_steps_ = std::min(limit_, std::max(step + 1, last));
}

void RunLength::end_at(int64_t step) {
  limit_ = std::min(limit_, step);
  total_steps_ = std::min(total_steps_, step);
}

double RunLength::epoch_of(int64_t step) const {
  return static_cast<double>(step) / static_cast<double>(units_.per_epoch);
}

double RunLength::share_of(int64_t step) const {
  return std::min(1.0, static_cast<double>(step) / static_cast<double>(total_steps_));
}

bool RunLength::is_due(double interval_epochs, int64_t step) const {
  if (step == 0) {
    return false;
  }
  const double interval = interval_epochs * static_cast<double>(units_.per_epoch);
  const auto events_by = [interval](int64_t updates) {
    return std::floor(static_cast<double>(updates) / interval + 1e-9);
  };
  return step == total_steps_ || events_by(step) > events_by(step - 1);
}

bool RunLength::is_recorded(int64_t interval, int64_t step) const {
  return step % interval == 0 || step == total_steps_;
}

}  // namespace softmoe
