#pragma once
/// The options of routers that send tokens to experts one by one.

#include <cstdint>

#include "core/options.h"

namespace softmoe {

/// What turns logits into gates.
enum class GateFunction { kSoftmax, kSigmoid };
template <>
inline constexpr std::array<EnumName<GateFunction>, 2> kEnumNames<GateFunction>{
    {{GateFunction::kSoftmax, "softmax"}, {GateFunction::kSigmoid, "sigmoid"}}};

/// What the softmax of tokens choice runs over: all experts, before the top K are taken, or those K
/// alone.
enum class GateOrder { kBefore, kAfter };
template <>
inline constexpr std::array<EnumName<GateOrder>, 2> kEnumNames<GateOrder>{
    {{GateOrder::kBefore, "before"}, {GateOrder::kAfter, "after"}}};

/// How a share of tokens that is no whole number becomes the capacity of an expert.
enum class CapacityRounding {
  kUsual,    ///< kUp in tokens choice, kNearest in experts choice
  kUp,       ///< to the next whole number
  kNearest,  ///< to the nearest one, halves to the even one
};
template <>
inline constexpr std::array<EnumName<CapacityRounding>, 3> kEnumNames<CapacityRounding>{
    {{CapacityRounding::kUsual, "usual"},
     {CapacityRounding::kUp, "up"},
     {CapacityRounding::kNearest, "nearest"}}};

/// How experts are read off a transport plan.
enum class PlanSelection {
  kArgmax,  ///< each token its best experts: loads nearly balanced
  kExact,   ///< each expert its best tokens: loads equal
};
template <>
inline constexpr std::array<EnumName<PlanSelection>, 2> kEnumNames<PlanSelection>{
    {{PlanSelection::kArgmax, "argmax"}, {PlanSelection::kExact, "exact"}}};

/// What a user chooses about sparse routers. A router ignores options that its row does not name
/// (RouterRow::options, training_options), which their help says.
struct SparseOptions {
  int64_t top_k = 1;                  ///< experts of a token
  double eval_capacity_factor = 0.0;  ///< capacity factor of evaluation; 0: that of training
  int64_t capacity_multiple = 0;      ///< capacities are multiples of it; 0: the router's default
  CapacityRounding capacity_rounding = CapacityRounding::kUsual;
  int64_t group_images = 0;        ///< images routed together; 0: the router's default
  bool batch_priority = false;     ///< buffers fill by falling gate, not in the order of tokens
  bool renormalize_gates = false;  ///< the gates of a token's experts sum to 1
  GateOrder gate_order = GateOrder::kBefore;
  GateFunction gate_function = GateFunction::kSoftmax;
  double jitter = 0.0;                 ///< training multiplies router inputs by U(1 - e, 1 + e)
  double second_expert_threshold = 0;  ///< second expert taken with probability gate / threshold
  double selection_bias_rate = 0.0;    ///< step of the loss-free balancing bias; 0: no bias
  double sinkhorn_temperature = 1.0;
  double sinkhorn_tolerance = 1e-3;  ///< largest relative error of a column sum
  int64_t sinkhorn_iterations = 100;
  PlanSelection plan_selection = PlanSelection::kArgmax;
  int64_t hash_codes = 256;    ///< codes of a content hash
  double l1_initial = 1e-8;    ///< first coefficient of ReLU routing's L1 loss
  double l1_multiplier = 1.2;  ///< its change per step
  int64_t hash_seed = 0;       ///< of the fixed maps

  bool operator==(const SparseOptions&) const = default;
};

void describe(OptionTable& table, SparseOptions& options);

}  // namespace softmoe
