#include "train/schedule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/registry.h"

namespace softmoe {
namespace {

/// Share of the way from the end of the warm-up to the end of the run, in [0, 1].
double decay_share(const ScheduleShape& shape, double step) {
  const double length = std::max<double>(1.0, static_cast<double>(shape.total - shape.warmup));
  return std::clamp((step - static_cast<double>(shape.warmup)) / length, 0.0, 1.0);
}

double cosine_rate(const ScheduleShape& shape, double step) {
  const double share = 0.5 * (1.0 + std::cos(std::numbers::pi * decay_share(shape, step)));
  return shape.end + (shape.peak - shape.end) * share;
}

double linear_rate(const ScheduleShape& shape, double step) {
  return shape.peak + (shape.end - shape.peak) * decay_share(shape, step);
}

double rsqrt_rate(const ScheduleShape& shape, double step) {
  const double after_warmup = std::max(0.0, step - static_cast<double>(shape.warmup));
  return shape.peak / std::sqrt(1.0 + after_warmup / shape.timescale);
}

double constant_rate(const ScheduleShape& shape, double /*step*/) { return shape.peak; }

constexpr std::array<ScheduleRow, 4> kSchedules{{
    {"cosine", "min_lr + (lr - min_lr) (1 + cos(pi t / length)) / 2", cosine_rate},
    {"linear", "lr + (min_lr - lr) t / length", linear_rate},
    {"rsqrt", "lr / sqrt(1 + t / timescale)", rsqrt_rate},
    {"constant", "lr", constant_rate},
}};

/// The length of a part of a schedule that is not given in time.
int64_t in_steps(int64_t steps, int64_t examples, double epochs, const RunLength& length) {
  if (steps > 0) {
    return steps;
  }
  const double images = static_cast<double>(length.images_per_step());
  return examples > 0 ? std::llround(static_cast<double>(examples) / images)
                      : std::llround(epochs * static_cast<double>(length.steps_per_epoch()));
}

/// The time of a part of a schedule; 0 if its length is given in steps or examples.
Duration in_time(int64_t steps, int64_t examples, Duration time) {
  return steps > 0 || examples > 0 ? Duration{} : time;
}

void check_fits(const ScheduleOptions& options, const ScheduleShape& shape,
                const RunLength& length) {
  const auto time = options.warmup_time.seconds + options.cooldown_time.seconds;
  if (!length.is_timed() && time > 0.0) {
    throw UsageError(options.warmup_time.seconds > 0.0 ? "--warmup-time" : "--cooldown-time",
                     "0s in a run without --max-time",
                     duration_text(options.warmup_time.seconds > 0.0 ? options.warmup_time
                                                                     : options.cooldown_time));
  }
  if (length.is_timed() && time > length.max_time().seconds) {
    throw UsageError(
        "schedule",
        "warm-up and cooldown within the " + duration_text(length.max_time()) + " of the run",
        duration_text(options.warmup_time) + " + " + duration_text(options.cooldown_time));
  }
  if (shape.warmup + shape.cooldown > shape.total) {
    throw UsageError(
        "schedule",
        "warm-up and cooldown within the " + std::to_string(shape.total) + " steps of the run",
        std::to_string(shape.warmup) + " + " + std::to_string(shape.cooldown));
  }
}

}  // namespace

void describe(OptionTable& table, ScheduleOptions& options) {
  std::vector<std::string> names;
  for (const auto& row : kSchedules) {
    names.emplace_back(row.name);
  }
  table.add("sched", options.sched, "how the learning rate falls after the warm-up",
            {.choices = names});
  table.add("lr", options.lr, "learning rate at its peak", {.min = 0});
  table.add("min-lr", options.min_lr, "learning rate at the end of a decay or cooldown",
            {.min = 0});
  table.add("warmup-epochs", options.warmup_epochs, "length of the linear warm-up from 0",
            {.unit = "epochs", .min = 0, .max = 1e9});
  table.add("warmup-steps", options.warmup_steps,
            "length of the linear warm-up from 0; 0 takes --warmup-epochs",
            {.unit = "steps", .min = 0, .max = 1e18});
  table.add("warmup-examples", options.warmup_examples,
            "length of the linear warm-up from 0; 0 takes --warmup-epochs",
            {.unit = "images", .min = 0, .max = 1e18});
  table.add("warmup-time", options.warmup_time,
            "length of the linear warm-up of a run with --max-time; 0s takes --warmup-epochs");
  table.add("cooldown-epochs", options.cooldown_epochs,
            "length of the linear fall to --min-lr that ends the run",
            {.unit = "epochs", .min = 0, .max = 1e9});
  table.add("cooldown-steps", options.cooldown_steps,
            "length of the linear fall to --min-lr; 0 takes --cooldown-epochs",
            {.unit = "steps", .min = 0, .max = 1e18});
  table.add("cooldown-examples", options.cooldown_examples,
            "length of the linear fall to --min-lr; 0 takes --cooldown-epochs",
            {.unit = "images", .min = 0, .max = 1e18});
  table.add("cooldown-time", options.cooldown_time,
            "length of the linear fall to --min-lr in a run with --max-time; 0s takes "
            "--cooldown-epochs");
  table.add("timescale", options.timescale, "timescale of the rsqrt schedule",
            {.unit = "steps", .min = 1});
}

std::span<const ScheduleRow> schedules() { return kSchedules; }

Schedule::Schedule(const ScheduleOptions& options, const RunLength& length)
    : row_(&find_row(schedules(), options.sched, "schedule")) {
  shape_.peak = options.lr;
  shape_.end = options.min_lr;
  shape_.warmup =
      in_steps(options.warmup_steps, options.warmup_examples, options.warmup_epochs, length);
  shape_.cooldown =
      in_steps(options.cooldown_steps, options.cooldown_examples, options.cooldown_epochs, length);
  shape_.timescale = options.timescale;
  shape_.total = length.total_steps();
  check_fits(options, shape_, length);
  warmup_time_ = in_time(options.warmup_steps, options.warmup_examples, options.warmup_time);
  cooldown_time_ =
      in_time(options.cooldown_steps, options.cooldown_examples, options.cooldown_time);
  if (warmup_time_.seconds > 0.0) {
    shape_.warmup = 1;  // until the speed is known, which is after one update
  }
}

void Schedule::fit(const RunLength& length, double step_seconds, double last_step_seconds) {
  shape_.total = length.total_steps();
  const auto fit_part = [](int64_t& steps, Duration time, double seconds) {
    if (time.seconds > 0.0) {
      steps = std::llround(time.seconds / seconds);
    }
  };
  fit_part(shape_.warmup, warmup_time_, step_seconds);
  fit_part(shape_.cooldown, cooldown_time_, last_step_seconds);
}

double Schedule::rate(int64_t step) const {
  const int64_t at = std::min(step, shape_.total);
  if (at < shape_.warmup) {
    return shape_.peak * static_cast<double>(at) / static_cast<double>(shape_.warmup);
  }
  // A run of limited time may be slower than its warm-up and cooldown expect.
  const int64_t cooldown_start = std::max(shape_.warmup, shape_.total - shape_.cooldown);
  if (shape_.cooldown == 0 || at <= cooldown_start) {
    return row_->rate(shape_, static_cast<double>(at));
  }
  const double reached = row_->rate(shape_, static_cast<double>(cooldown_start));
  const double share =
      static_cast<double>(at - cooldown_start) / static_cast<double>(shape_.cooldown);
  return reached + (shape_.end - reached) * share;
}

}  // namespace softmoe
