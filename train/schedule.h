#pragma once
/// Learning rates as functions of the step: a resumed run needs no state of a schedule.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/options.h"
#include "train/run_length.h"

namespace softmoe {

/// How the learning rate changes. Of the lengths of a warm-up or cooldown, the first that is not 0
/// counts: in steps, in examples, in time, in epochs.
struct ScheduleOptions {
  std::string sched = "cosine";
  double lr = 1e-3;
  double min_lr = 0.0;
  double warmup_epochs = 0.0;
  int64_t warmup_steps = 0;
  int64_t warmup_examples = 0;
  Duration warmup_time = {};
  double cooldown_epochs = 0.0;
  int64_t cooldown_steps = 0;
  int64_t cooldown_examples = 0;
  Duration cooldown_time = {};
  double timescale = 10000.0;
  bool operator==(const ScheduleOptions&) const = default;
};
void describe(OptionTable& table, ScheduleOptions& options);

/// A schedule with every length in steps.
struct ScheduleShape {
  double peak = 1e-3;
  double end = 0.0;        ///< reached at `total` by cosine and linear, and by every cooldown
  int64_t warmup = 0;      ///< steps from 0 to the peak, linearly; step 0 has rate 0
  int64_t cooldown = 0;    ///< last steps, linearly from the rate reached there to `end`
  double timescale = 1e4;  ///< of rsqrt, in steps
  int64_t total = 1;
};

/// A schedule that `--sched` can name: the rate after the warm-up, before a cooldown changes it.
struct ScheduleRow {
  std::string_view name;
  std::string_view formula;  ///< for people; t counts steps from the end of the warm-up
  double (*rate)(const ScheduleShape& shape, double step);
};
/// cosine, linear, rsqrt (Zhai et al., arXiv:2106.04560, section 3.5), constant.
std::span<const ScheduleRow> schedules();

/// The learning rate of each step of one run.
class Schedule {
 public:
  /// Throws UsageError for an unknown name, if warm-up and cooldown exceed the run, and for lengths
  /// in time in a run that is not limited in time.
  Schedule(const ScheduleOptions& options, const RunLength& length);

  /// Fits the schedule to the length of a run of limited time, whose updates take `step_seconds` on
  /// average.
  void fit(const RunLength& length, double step_seconds) {
    fit(length, step_seconds, step_seconds);
  }
  /// The updates at the start of the run take `step_seconds`, those at its end `last_step_seconds`.
  void fit(const RunLength& length, double step_seconds, double last_step_seconds);

  /// The rate of the update that follows `step` updates; from `total` on, that of `total`.
  double rate(int64_t step) const;
  const ScheduleShape& shape() const { return shape_; }

 private:
  ScheduleShape shape_;
  Duration warmup_time_ = {};  // 0: the warm-up has a number of steps
  Duration cooldown_time_ = {};
  const ScheduleRow* row_;
};

}  // namespace softmoe
