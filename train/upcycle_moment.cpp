#include "train/upcycle_moment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "core/read_number.h"
#include "vit/cost.h"

namespace softmoe {
namespace {

using MomentUnit = UpcycleMoment::Unit;

constexpr std::array<NumberUnit, 2> kShareUnits{{{"", 1.0}, {"%", 0.01}}};
constexpr std::array<NumberUnit, 2> kStepUnits{{{"steps", 1.0}, {"step", 1.0}}};
constexpr std::array<NumberUnit, 2> kEpochUnits{{{"epochs", 1.0}, {"epoch", 1.0}}};

/// Updates before the moment, of a run that is not limited in time or a moment that is none of
/// time.
double steps_before(const UpcycleMoment& moment, const RunLength& length) {
  switch (moment.unit) {
    case MomentUnit::kShare:
      return std::max(1.0, std::round(moment.value * static_cast<double>(length.total_steps())));
    case MomentUnit::kEpochs:
      return std::round(moment.value * static_cast<double>(length.steps_per_epoch()));
    default:
      return moment.value;
  }
}

/// The moment in seconds of training; negative if it is counted in updates.
double seconds_before(const UpcycleMoment& moment, const RunLength& length) {
  if (moment.unit == MomentUnit::kSeconds) {
    return moment.value;
  }
  const bool is_share_of_time = moment.unit == MomentUnit::kShare && length.is_timed();
  return is_share_of_time ? moment.value * length.max_time().seconds : -1.0;
}

/// Updates of the dense model that are left.
double dense_steps_left(const UpcycleMoment& moment, const RunLength& length,
                        const RunProgress& progress, double first_update) {
  const double seconds = seconds_before(moment, length);
  return std::max(0.0, seconds >= 0.0
                           ? (seconds - progress.train_seconds) / first_update
                           : steps_before(moment, length) - static_cast<double>(progress.step));
}

}  // namespace

UpcycleMoment parse_upcycle_moment(const std::string& text) {
  const auto expected =
      "a share of the run above 0 and below 1, or steps, epochs or a time, such as 0.3, 500steps, "
      "2epochs, 5min";
  UpcycleMoment moment;
  if (const auto share = parse_number_with_unit(text, kShareUnits)) {
    moment = {.unit = MomentUnit::kShare, .value = *share < 1.0 ? *share : 0.0};
  } else if (const auto steps = parse_number_with_unit(text, kStepUnits)) {
    moment = {.unit = MomentUnit::kSteps, .value = std::floor(*steps)};
  } else if (const auto epochs = parse_number_with_unit(text, kEpochUnits)) {
    moment = {.unit = MomentUnit::kEpochs, .value = *epochs};
  } else if (const auto time = parse_duration(text)) {
    moment = {.unit = MomentUnit::kSeconds, .value = time->seconds};
  }
  if (!(moment.value > 0.0)) {
    throw UsageError("upcycle-at", expected, "'" + printable_text(text) + "'");
  }
  return moment;
}

void check_moment(const UpcycleMoment& moment, const TrainOptions& options) {
  const bool is_timed = options.max_time.seconds > 0.0;
  const auto check = [&](bool is_within, const std::string& length) {
    if (!is_within) {
      throw UsageError("upcycle-at", "a moment before the end of the run, " + length,
                       fmt::format("{:g}", moment.value));
    }
  };
  switch (moment.unit) {
    case MomentUnit::kSeconds:
      return check(!is_timed || moment.value < options.max_time.seconds,
                   duration_text(options.max_time));
    case MomentUnit::kEpochs:
      return check(is_timed || moment.value < options.epochs,
                   fmt::format("{:g} epochs", options.epochs));
    case MomentUnit::kSteps:
      return check(options.max_steps == 0 || moment.value < static_cast<double>(options.max_steps),
                   fmt::format("{} steps", options.max_steps));
    default:
      return;
  }
}

MidUpcycling mid_upcycling(const UpcycleMoment& moment, const VitOptions& to,
                           const UpcycleOptions& options) {
  validate(to);
  if (!has_moe(to)) {
    throw UsageError("upcycle-at needs moe-blocks, the blocks that get MoE layers");
  }
  check_expert_width(to, options);
  MidUpcycling upcycling{.moment = moment, .from = to, .to = to, .options = options};
  upcycling.from.moe_blocks = "none";
  upcycling.from.moe = {};
  upcycling.options.keep_head = true;
  upcycling.cost_ratio = model_cost(to).gflop / model_cost(upcycling.from).gflop;
  return upcycling;
}

bool is_reached(const UpcycleMoment& moment, const RunLength& length, const RunProgress& progress) {
  const double seconds = seconds_before(moment, length);
  return seconds >= 0.0 ? progress.train_seconds >= seconds
                        : static_cast<double>(progress.step) >= steps_before(moment, length);
}

RunForecast forecast(const MidUpcycling& upcycling, const RunLength& length,
                     const RunProgress& progress) {
  const bool is_dense = progress.upcycled_step < 0;
  const auto mean = [](double seconds, int64_t steps) {
    return seconds / static_cast<double>(std::max<int64_t>(1, steps));
  };
  RunForecast left;
  left.first_update = is_dense ? mean(progress.train_seconds, progress.step)
                               : mean(progress.upcycled_seconds, progress.upcycled_step);
  const bool is_measured = !is_dense && progress.step > progress.upcycled_step;
  left.last_update = is_measured ? mean(progress.train_seconds - progress.upcycled_seconds,
                                        progress.step - progress.upcycled_step)
                                 : upcycling.cost_ratio * left.first_update;
  const double dense =
      is_dense ? dense_steps_left(upcycling.moment, length, progress, left.first_update) : 0.0;
  if (length.is_timed()) {
    left.seconds = std::max(0.0, length.max_time().seconds - progress.train_seconds);
    const double dense_seconds = std::min(left.seconds, dense * left.first_update);
    left.steps =
        dense_seconds / left.first_update + (left.seconds - dense_seconds) / left.last_update;
    return left;
  }
  left.steps = static_cast<double>(length.total_steps() - progress.step);
  const double first = std::min(left.steps, dense);
  left.seconds = first * left.first_update + (left.steps - first) * left.last_update;
  return left;
}

}  // namespace softmoe
