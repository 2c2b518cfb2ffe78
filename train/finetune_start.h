#pragma once
/// Training that starts from a checkpoint, for another data set: other classes, image size or
/// channels.

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoints/model_checkpoint.h"
#include "checkpoints/surgery/optimizer_state.h"
#include "checkpoints/surgery/resize_options.h"
#include "train/training_start.h"

namespace softmoe {

/// Which checkpoint, and how its weights are carried over.
struct FinetuneOptions {
  std::string checkpoint;
  bool keep_head = false;
  bool random_weights = false;  ///< take only the shape of the checkpoint's model
  ResizeOptions resize;
  OptimizerState optimizer_state = OptimizerState::kReset;

  bool keeps_optimizer_state() const { return optimizer_state == OptimizerState::kKeep; }
  bool operator==(const FinetuneOptions&) const = default;
};
void describe(OptionTable& table, FinetuneOptions& options);

/// What the checkpoint says about its model, with the model's options as fine-tuning starts from
/// them (transfer_options()); to be changed in classes, image size and channels. Throws UsageError
/// if no checkpoint is named, InputError that names the file if it cannot be read.
ModelDescription finetune_source(const FinetuneOptions& options);

/// The weights of the checkpoint in a model of `model`, as adapt_weights() carries them over; what
/// they do not cover has the initial values that `seed` draws. Lines of the log name what changed.
/// `class_names` are those of the data set. Throws UsageError for options that contradict each
/// other, InputError for what does not fit the checkpoint, such as other classes if the head is
/// kept.
TrainingStart finetune_start(const FinetuneOptions& options, const VitOptions& model,
                             const std::vector<std::string>& class_names, int64_t seed);

}  // namespace softmoe
