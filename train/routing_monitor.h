#pragma once
/// Statistics of the routing of every MoE layer in training, and warnings of experts that no token
/// reaches.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/options.h"
#include "train/train_step.h"

namespace softmoe {

/// The routing of one block at one update, shares averaged over its batches.
struct RecordedRouting {
  std::vector<double> load;              ///< share of all expert inputs that each expert got
  std::vector<double> importance;        ///< share of the combine weights that each expert had
  double dropped = 0.0;                  ///< share of the tokens that reached no expert
  double entropy = 0.0;                  ///< mean of a token's distribution over experts, nats
  std::map<std::string, double> mixing;  ///< of soft routers: MixingState::values()
  std::map<std::string, double> losses;  ///< of the router by name, without coefficients

  /// By name: max and min of load and of importance, the number of experts without a token, the
  /// number of experts of equal importance that would have its entropy ("effective_experts"), and
  /// the rest; losses as "<name>_loss". Without `load` only the losses are there.
  std::map<std::string, double> summary() const;
};

/// By the number of the block.
using ModelRouting = std::map<int64_t, RecordedRouting>;

/// {"block<i>": summary} of every layer.
Json to_json(const ModelRouting& routing);
/// The mean over layers of each number in `layers`, which is what to_json() gives.
Json mean_over_layers(const Json& layers);

/// Gathers the routing of the updates that are recorded. An expert is idle from the first record in
/// which no token reaches it until the next record in which one does.
class RoutingMonitor {
 public:
  /// Warns of experts that stay idle for `idle_steps` updates; 0: never.
  explicit RoutingMonitor(int64_t idle_steps) : idle_steps_(idle_steps) {}

  /// Adds a batch of the update that is to be recorded. Layers whose load is undefined count only
  /// with their losses.
  void add(const ExpertLoads& loads, const BlockValues& losses);

  /// Ends update `step`. `warnings` gets a line per block with experts that have been idle for
  /// `idle_steps`; each expert is named once until it is used again.
  ModelRouting finish(int64_t step, std::vector<std::string>& warnings);

  /// Which experts are idle, for checkpoints.
  Json state() const;
  void load_state(const Json& state);

 private:
  struct Idle {
    int64_t since = 0;  // the first record without a token
    bool warned = false;
  };

  void watch(int64_t block, const std::vector<double>& load, int64_t step,
             std::vector<std::string>& warnings);

  int64_t idle_steps_;
  ModelRouting sums_;
  int64_t batches_ = 0;
  std::map<int64_t, std::map<int64_t, Idle>> idle_;  // by block, then by expert
};

}  // namespace softmoe
