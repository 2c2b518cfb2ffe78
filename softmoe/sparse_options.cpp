#include "softmoe/sparse_options.h"

namespace softmoe {

void describe(OptionTable& table, SparseOptions& options) {
  table.add("top-k", options.top_k, "experts of a token (relu: on average)",
            {.unit = "experts", .min = 1});
  table.add("eval-capacity-factor", options.eval_capacity_factor,
            "capacity factor of sparse routers in evaluation; 0: that of training", {.min = 0});
  table.add("capacity-multiple", options.capacity_multiple,
            "capacities are raised to a multiple of it; 0: 4 for tokens_choice, 1 for others",
            {.unit = "tokens", .min = 0});
  table.add(
      "capacity-rounding", options.capacity_rounding,
      "tokens_choice, experts_choice: how capacities become whole numbers before that; usual: "
      "up for tokens_choice, nearest for experts_choice (vmoe's default is up and 4 for both)");
  table.add("group-images", options.group_images,
            "images that are routed together; 0: 1 for experts_choice, the batch for others",
            {.unit = "images", .min = 0});
  table.add("batch-priority", options.batch_priority,
            "tokens_choice: buffers fill by falling gate instead of in the order of tokens");
  table.add("renormalize-gates", options.renormalize_gates,
            "tokens_choice, experts_choice: the gates of a token's experts sum to 1");
  table.add("gate-order", options.gate_order,
            "tokens_choice: softmax over all experts before the top K, or over the K after it");
  table.add("gate-function", options.gate_function, "tokens_choice: what turns logits into gates");
  table.add("jitter", options.jitter,
            "tokens_choice: training multiplies the router's input by 1 - e ... 1 + e (Switch: "
            "0.01)",
            {.min = 0, .max = 0.999});
  table.add("second-expert-threshold", options.second_expert_threshold,
            "tokens_choice: training takes the second expert with probability gate / threshold "
            "(ST-MoE: 0.2); 0: always",
            {.min = 0});
  table.add("selection-bias-rate", options.selection_bias_rate,
            "tokens_choice: step of the bias that balances loads without a loss; 0: no bias",
            {.min = 0});
  table.add("sinkhorn-temperature", options.sinkhorn_temperature,
            "sinkhorn: divides the logits of the transport plan", {.min = 1e-6});
  table.add("sinkhorn-tolerance", options.sinkhorn_tolerance,
            "sinkhorn: iterations end at this relative error of an expert's load", {.min = 0});
  table.add("sinkhorn-iterations", options.sinkhorn_iterations,
            "sinkhorn: maximum of the iterations", {.min = 1});
  table.add("plan-selection", options.plan_selection,
            "sinkhorn: a token's best experts (argmax) or an expert's best tokens (exact loads)");
  table.add("hash-codes", options.hash_codes, "codes of hash_projection and hash_kmeans",
            {.min = 2});
  table.add("hash-seed", options.hash_seed, "seed of the fixed maps of hash routers", {.min = 0});
  table.add("l1-initial", options.l1_initial, "relu: first coefficient of the adaptive L1 loss",
            {.min = 1e-30});
  table.add("l1-multiplier", options.l1_multiplier,
            "relu: factor by which that coefficient moves per step", {.min = 1});
}

}  // namespace softmoe
