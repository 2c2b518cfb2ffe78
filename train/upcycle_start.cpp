#include "train/upcycle_start.h"

#include "checkpoints/image_tower.h"
#include "checkpoints/surgery/adapt.h"
#include "core/log.h"

namespace softmoe {

void describe(OptionTable& table, UpcycleStartOptions& options) {
  table.add(
      "upcycle", options.checkpoint,
      "start from this dense checkpoint, whose MLPs become the experts of --moe-blocks "
      "(last_half; none: the model stays dense); options of the model that are not given are the "
      "checkpoint's",
      {.unit = "file"});
  table.add(
      "upcycle-at", options.at,
      "train a dense model until then, whose MLPs become the experts of --moe-blocks; optimizer "
      "and averages are carried on: a share of the run such as 0.3 (with --max-time of its time), "
      "or 500steps, 2epochs, 5min; empty: never",
      {.unit = "share"});
  describe(table, options.upcycling);
  describe(table, options.resize);
}

ModelDescription upcycle_source(const UpcycleStartOptions& options) {
  auto source = model_description(load_image_metadata(options.checkpoint), options.checkpoint);
  check_dense(source.options, options.checkpoint);
  source.options.moe = {};
  source.options.moe_blocks = "last_half";
  return source;
}

TrainingStart upcycle_start(const UpcycleStartOptions& options, const VitOptions& model,
                            const std::vector<std::string>& class_names, int64_t seed) {
  const auto& path = options.checkpoint;
  auto upcycling = options.upcycling;
  const bool keeps_state = upcycling.keeps_optimizer_state();
  const auto checkpoint = load_image_checkpoint(path, {.optimizer = keeps_state});
  const auto source = model_description(checkpoint.metadata, path);
  upcycling.keep_head = upcycling.keep_head && class_names == source.class_names;
  auto resize = options.resize;
  const auto resize_mode = resize.resolve(source.resize_mode);
  const auto weights = adapt_weights(checkpoint.model, source.options, model, resize_mode,
                                     upcycling.keep_head, path);
  for (const auto& change : weights.changed) {
    log_line("adapted " + change);
  }
  const auto neurons = draw_neurons(weights.tensors, model, upcycling, seed);
  TrainingStart start{
      .model_name = source.name,
      .resize_mode = resize_mode,
      .model = upcycle(weights.tensors, source.options, model, upcycling, seed, path, neurons)};
  if (keeps_state) {
    start.optimizer_state =
        upcycle_optimizer_state(checkpoint.optimizer, model, upcycling, path, neurons);
  }
  return start;
}

}  // namespace softmoe
