#pragma once
/// Statistics of routing for the records of a run.

#include "train/hook.h"

namespace softmoe {

/// Puts the routing of MoE layers into each record and logs warnings of idle experts. Comes before
/// the hooks that write records.
class RoutingHook : public Hook {
 public:
  /// Warns of experts that stay idle for `idle_steps` updates; 0: never.
  explicit RoutingHook(int64_t idle_steps) : monitor_(idle_steps) {}

  void at_record(TrainingState& state, TrainingRecord& record) override;
  void save_state(const TrainingState& state, Json& progress) const override;
  void load_state(TrainingState& state, const Json& progress) override;

 private:
  RoutingMonitor monitor_;
};

}  // namespace softmoe
