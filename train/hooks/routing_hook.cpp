#include "train/hooks/routing_hook.h"

#include "core/log.h"

namespace softmoe {

void RoutingHook::at_record(TrainingState& state, TrainingRecord& record) {
  for (const auto& batch : record.update.batches) {
    monitor_.add(batch.loads, batch.values);
  }
  std::vector<std::string> warnings;
  record.routing = monitor_.finish(state.progress.step, warnings);
  if (!record.routing.empty()) {
    state.routing = to_json(record.routing);
  }
  for (const auto& line : warnings) {
    log_line(line);
  }
}

void RoutingHook::save_state(const TrainingState& state, Json& progress) const {
  progress["idle_experts"] = monitor_.state();
  progress["routing"] = state.routing;
}

void RoutingHook::load_state(TrainingState& state, const Json& progress) {
  // Checkpoints of earlier versions have neither.
  monitor_.load_state(progress.value("idle_experts", Json::array()));
  state.routing = progress.value("routing", Json());
}

}  // namespace softmoe
