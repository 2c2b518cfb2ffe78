#include "softmoe/sparse_options.h"

#include <utility>

#include "softmoe/routers.h"

namespace softmoe {

void describe(OptionTable& table, SparseOptions& options) {
  const auto add = [&table](const char* name, auto& member, const char* meaning,
                            OptionLimits limits = {}) {
    table.add(name, member, with_readers(name, meaning), std::move(limits));
  };
  const auto add_choice = [&table](const char* name, auto& member, const char* meaning) {
    table.add(name, member, with_readers(name, meaning));
  };
  add("top-k", options.top_k, "experts of a token (relu: on average)",
      {.unit = "experts", .min = 1});
  add("eval-capacity-factor", options.eval_capacity_factor,
      "capacity factor in evaluation; 0: that of training", {.min = 0});
  add("capacity-multiple", options.capacity_multiple,
      "capacities are raised to a multiple of it; 0: 4 for tokens_choice, 1 for others",
      {.unit = "tokens", .min = 0});
  add_choice("capacity-rounding", options.capacity_rounding,
             "how capacities become whole numbers before that; usual: up for tokens_choice, "
             "nearest for experts_choice (vmoe's default is up and 4 for both)");
  add("group-images", options.group_images,
      "images that are routed together; 0: 1 for experts_choice, the batch for others",
      {.unit = "images", .min = 0});
  add_choice("batch-priority", options.batch_priority,
             "buffers fill by falling gate instead of in the order of tokens");
  add_choice("renormalize-gates", options.renormalize_gates,
             "the gates of a token's experts sum to 1");
  add_choice("gate-order", options.gate_order,
             "softmax over all experts before the top K, or over the K after it");
  add_choice("gate-function", options.gate_function, "what turns logits into gates");
  add("jitter", options.jitter,
      "training multiplies the router's input by 1 - e ... 1 + e (Switch: 0.01)",
      {.min = 0, .max = 0.999});
  add("second-expert-threshold", options.second_expert_threshold,
      "training takes the second expert with probability gate / threshold (ST-MoE: 0.2); 0: always",
      {.min = 0});
  add("selection-bias-rate", options.selection_bias_rate,
      "step of the bias that balances loads without a loss; 0: no bias", {.min = 0});
  add("sinkhorn-temperature", options.sinkhorn_temperature,
      "divides the logits of the transport plan", {.min = 1e-6});
  add("sinkhorn-tolerance", options.sinkhorn_tolerance,
      "iterations end at this relative error of an expert's load", {.min = 0});
  add("sinkhorn-iterations", options.sinkhorn_iterations, "maximum of the iterations", {.min = 1});
  add_choice("plan-selection", options.plan_selection,
             "a token's best experts (argmax) or an expert's best tokens (exact loads)");
  add("hash-codes", options.hash_codes, "codes of a content hash", {.min = 2});
  add("hash-seed", options.hash_seed, "seed of the fixed maps", {.min = 0});
  add("l1-initial", options.l1_initial, "first coefficient of the adaptive L1 loss",
      {.min = 1e-30});
  add("l1-multiplier", options.l1_multiplier, "factor by which that coefficient moves per step",
      {.min = 1});
}

}  // namespace softmoe
