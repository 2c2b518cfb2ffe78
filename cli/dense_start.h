#pragma once
/// Training that starts from a dense checkpoint.

#include <string>
#include <vector>

#include "checkpoints/model_checkpoint.h"
#include "checkpoints/surgery/upcycle.h"
#include "cli/model_flags.h"
#include "cli/training_flags.h"

namespace softmoe::cli {

/// Which checkpoint becomes a model with MoE layers before training, and how.
struct DenseStart {
  std::string upcycle;  ///< the checkpoint; empty: training starts from scratch
  UpcycleOptions options;
  ResizeOptions resize;

  bool operator==(const DenseStart&) const = default;

  bool asked() const { return !upcycle.empty(); }

  /// What the checkpoint says about its model; throws InputError where that has MoE layers.
  ModelDescription description() const;

  /// The start of a run with a model of `options_of_model`: what upcycle() makes of the
  /// checkpoint's weights, fitted by adapt_weights() to another image size or channels with
  /// `resize_mode`. The head stays where it is to be kept and the classes are `class_names`.
  TrainingStart start(const VitOptions& options_of_model,
                      const std::vector<std::string>& class_names, PositionResize resize_mode,
                      int64_t seed) const;
};

void describe(OptionTable& table, DenseStart& start);

}  // namespace softmoe::cli
