#pragma once
/// Training that starts from a dense checkpoint, whose MLPs become experts.

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoints/model_checkpoint.h"
#include "checkpoints/surgery/resize_options.h"
#include "checkpoints/surgery/upcycle.h"
#include "train/training_start.h"

namespace softmoe {

/// Which dense checkpoint becomes the start of a run, and how.
struct UpcycleStartOptions {
  std::string checkpoint;  ///< `--upcycle`; empty: none
  std::string at = {};     ///< `--upcycle-at`, a moment of the run (UpcycleMoment); empty: none
  UpcycleOptions upcycling;
  ResizeOptions resize;

  bool operator==(const UpcycleStartOptions&) const = default;
};
void describe(OptionTable& table, UpcycleStartOptions& options);

/// What the checkpoint says about its model, with MoE layers of default options in the last half of
/// the model's blocks; to be changed. Throws InputError that names the file if its model has MoE
/// layers or if it cannot be read.
ModelDescription upcycle_source(const UpcycleStartOptions& options);

/// What upcycle() makes of the checkpoint's weights in a model of `model`, after adapt_weights()
/// has fitted them to another image size or channels. The head is kept if the options say so and
/// the classes of the checkpoint are `class_names`. `seed` is that of everything that is random.
/// Throws what upcycle() and adapt_weights() throw.
TrainingStart upcycle_start(const UpcycleStartOptions& options, const VitOptions& model,
                            const std::vector<std::string>& class_names, int64_t seed);

}  // namespace softmoe
