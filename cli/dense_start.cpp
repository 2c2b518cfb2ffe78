#include "cli/dense_start.h"

#include "checkpoints/surgery/adapt.h"
#include "core/log.h"

namespace softmoe::cli {

void describe(OptionTable& table, DenseStart& start) {
  table.add(
      "upcycle", start.upcycle,
      "start from this dense checkpoint, whose MLPs become the experts of --moe-blocks "
      "(last_half; none: it goes on as it is); options of the model that are not given are the "
      "checkpoint's",
      {.unit = "file"});
  describe(table, start.options);
  describe(table, start.resize);
}

ModelDescription DenseStart::description() const {
  auto source = model_description(load_metadata(upcycle), upcycle);
  check_dense(source.options, upcycle);
  return source;
}

TrainingStart DenseStart::start(const VitOptions& options_of_model,
                                const std::vector<std::string>& class_names,
                                PositionResize resize_mode, int64_t seed) const {
  const auto checkpoint =
      load_checkpoint(upcycle, {.optimizer = options.keeps_optimizer_state()});
  const auto source = model_description(checkpoint.metadata, upcycle);
  auto upcycling = options;
  upcycling.keep_head = options.keep_head && class_names == source.class_names;
  const auto weights = adapt_weights(checkpoint.model, source.options, options_of_model,
                                     resize_mode, upcycling.keep_head, upcycle);
  for (const auto& change : weights.changed) {
    log_line("adapted " + change);
  }
  TrainingStart start{.model_name = source.name,
                      .resize_mode = resize_mode,
                      .model = softmoe::upcycle(weights.tensors, source.options, options_of_model,
                                                upcycling, seed, upcycle)};
  if (options.keeps_optimizer_state()) {
    start.optimizer_state =
        upcycle_optimizer_state(checkpoint.optimizer, options_of_model, upcycling, upcycle);
  }
  return start;
}

}  // namespace softmoe::cli
