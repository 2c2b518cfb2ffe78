#include "benchmark/turns_left.h"

#include <c10/util/Exception.h>

#include <algorithm>

namespace softmoe {
namespace {

/// Batches that a model runs before its first turn: one is checked, one is timed.
constexpr double kBatchesToStart = 2;

}  // namespace

void TurnsLeft::add(const std::string& model, double gflop, int64_t batch, int64_t turns) {
  cases_.push_back({.model = model, .gflop = gflop, .batch = batch, .turns = turns});
  total_ += turns;
}

TurnsLeft::Case& TurnsLeft::find(const std::string& model, int64_t batch) {
  const auto found = std::find_if(cases_.begin(), cases_.end(), [&](const Case& item) {
    return item.model == model && item.batch == batch && item.turns > 0;
  });
  TORCH_INTERNAL_ASSERT(found != cases_.end(), "no turns of ", model);
  return *found;
}

void TurnsLeft::started(const std::string& model, int64_t batch, double seconds) {
  find(model, batch).batch_seconds = seconds;
}

void TurnsLeft::finished(const std::string& model, int64_t batch, double seconds) {
  auto& item = find(model, batch);
  item.turn_seconds = seconds;
  --item.turns;
  ++done_;
}

double TurnsLeft::seconds_per_gflop() const {
  double seconds = 0;
  double gflop = 0;
  for (const auto& item : cases_) {
    if (item.batch_seconds) {
      seconds += *item.batch_seconds;
      gflop += item.gflop * static_cast<double>(item.batch);
    }
  }
  return seconds / gflop;
}

double TurnsLeft::seconds_of(const Case& item) const {
  const auto turns = static_cast<double>(item.turns);
  if (item.turn_seconds) {
    return turns * *item.turn_seconds;
  }
  if (item.batch_seconds) {
    return turns * std::max(round_seconds_, *item.batch_seconds);
  }
  const auto batch = static_cast<double>(item.batch);
  const auto other = std::find_if(cases_.rbegin(), cases_.rend(), [&](const Case& candidate) {
    return candidate.model == item.model && candidate.batch_seconds;
  });
  const double batch_seconds =
      other != cases_.rend() ? *other->batch_seconds / static_cast<double>(other->batch) * batch
                             : seconds_per_gflop() * item.gflop * batch;
  return kBatchesToStart * batch_seconds + turns * std::max(round_seconds_, batch_seconds);
}

std::optional<double> TurnsLeft::seconds() const {
  const bool known = std::any_of(cases_.begin(), cases_.end(),
                                 [](const Case& item) { return item.batch_seconds.has_value(); });
  if (!known) {
    return std::nullopt;
  }
  double seconds = 0;
  for (const auto& item : cases_) {
    seconds += seconds_of(item);
  }
  return seconds;
}

}  // namespace softmoe
