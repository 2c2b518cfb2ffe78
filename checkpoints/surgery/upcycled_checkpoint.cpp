#include "checkpoints/surgery/upcycled_checkpoint.h"

#include "checkpoints/image_tower.h"
#include "checkpoints/model_description.h"
#include "checkpoints/module_tensors.h"
#include "core/error.h"

namespace softmoe {

UpcycledCheckpoint upcycle_checkpoint(const std::string& path, const UpcycleTarget& target,
                                      const UpcycleOptions& options, int64_t seed) {
  const auto dense = load_image_checkpoint(path, {.optimizer = options.keeps_optimizer_state()});
  auto description = model_description(dense.metadata, path);
  UpcycledCheckpoint result{.checkpoint = {}, .from = description.options, .to = {}};
  description.options.moe_blocks = target.moe_blocks;
  description.options.moe = target.moe;
  result.to = description.options;
  if (!has_moe(result.to)) {
    throw UsageError("--moe-blocks", "blocks that get MoE layers", target.moe_blocks);
  }
  check_dense(result.from, path);
  const auto neurons = draw_neurons(dense.model, result.to, options, seed);
  const auto model = upcycle(dense.model, result.from, result.to, options, seed, path, neurons);
  auto& metadata = result.checkpoint.metadata;
  metadata = derived_metadata(dense.metadata, description);
  metadata["upcycled"] = {{"from", path},
                          {"init", enum_name(options.init)},
                          {"expert_noise", options.noise()},
                          {"keep_head", options.keep_head},
                          {"seed", seed}};
  result.checkpoint.model = named_tensors(*model);
  if (options.keeps_optimizer_state()) {
    result.checkpoint.optimizer =
        upcycle_optimizer_state(dense.optimizer, result.to, options, path, neurons);
  }
  return result;
}

}  // namespace softmoe
