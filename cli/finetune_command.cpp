#include <fmt/format.h>

#include "checkpoints/adapt.h"
#include "checkpoints/load_into.h"
#include "checkpoints/model_checkpoint.h"
#include "cli/commands.h"
#include "cli/training_flags.h"
#include "core/error.h"
#include "core/log.h"

namespace softmoe::cli {
namespace {

/// Where fine-tuning starts from, and how its weights are carried over.
struct FinetuneOptions {
  std::string checkpoint;
  bool keep_head = false;
  bool random_weights = false;
  PositionResize pos_resize = PositionResize::kBilinearCorners;

  bool operator==(const FinetuneOptions&) const = default;
};

void describe(OptionTable& table, FinetuneOptions& options) {
  table.add("checkpoint", options.checkpoint, "the checkpoint to start from", {.unit = "file"});
  table.add("keep-head", options.keep_head,
            "keep the head where the classes are the same; else it starts anew");
  table.add("random-weights", options.random_weights,
            "take the checkpoint's shape alone and start from random weights, to compare with");
  table.add("pos-resize", options.pos_resize,
            "interpolation of position embeddings to another image size");
}

/// The checkpoint's weights in a model of `options`.
VisionTransformer adapted_model(const FinetuneOptions& flags, const ModelDescription& source,
                                const VitOptions& options, int64_t seed) {
  if (flags.random_weights) {
    return make_model(options, seed);
  }
  auto weights = adapt_weights(load_checkpoint(flags.checkpoint).model, source.options, options,
                               flags.pos_resize, flags.keep_head, flags.checkpoint);
  auto model = make_model(options, seed);
  // Parameters that start anew take their initial values through the same check of names.
  const auto initial = named_tensors(*model);
  for (const auto& name : weights.fresh) {
    weights.tensors[name] = initial.at(name).detach().clone();
  }
  load_into(*model, weights.tensors, flags.checkpoint);
  for (const auto& change : weights.changed) {
    log_line("adapted " + change);
  }
  return model;
}

}  // namespace

void run_finetune(const std::vector<std::string>& arguments) {
  FinetuneOptions flags;
  VitOptions options;
  TrainingFlags training;
  CommandLine line("finetune",
                   "Train a checkpoint on another data set: other classes, image size or channels. "
                   "Options of the model that are not given are the checkpoint's.");
  line.add("Checkpoint", flags);
  line.add("Parts of the model", options);
  training.declare(line);
  if (!line.parse(arguments)) {
    return;
  }
  if (flags.checkpoint.empty()) {
    throw UsageError("--checkpoint is missing: the checkpoint to start from");
  }
  const auto source = model_description(load_metadata(flags.checkpoint), flags.checkpoint);
  options = transfer_options(source.options);
  line.apply(options);
  const auto data = open_training_data(training.data);
  if (!line.given("num-classes")) {
    options.num_classes = static_cast<int64_t>(data.train->class_names().size());
  }
  if (flags.keep_head && options.num_classes != source.options.num_classes) {
    throw InputError("--keep-head: classes of the data set",
                     std::to_string(source.options.num_classes) + " as in the checkpoint",
                     std::to_string(options.num_classes));
  }
  training.fit_to_model(line, options);
  run_training(line, training, data, source.name,
               adapted_model(flags, source, options, training.train.seed));
}

}  // namespace softmoe::cli
