#pragma once
/// Checkpoints of dense models become checkpoints of models with MoE layers.

#include <string>

#include "checkpoints/checkpoint.h"
#include "checkpoints/surgery/upcycle.h"

namespace softmoe {

/// The MoE layers that a dense model gets.
struct UpcycleTarget {
  std::string moe_blocks = "last_half";  ///< like VitOptions::moe_blocks
  MoeOptions moe{};
};

/// A checkpoint that upcycle_checkpoint() made.
struct UpcycledCheckpoint {
  Checkpoint checkpoint;
  VitOptions from;  ///< the dense model
  VitOptions to;    ///< the model with MoE layers
};

/// What upcycle() and, if the options keep it, upcycle_optimizer_state() make of the checkpoint of
/// a dense model at `path`. Metadata are those of the dense model (derived_metadata()), and its
/// file, the options and `seed` under the key `upcycled`. Throws UsageError if the target has no
/// MoE layers or contradicts itself, InputError that names `path` if the file cannot be read, its
/// model has MoE layers, or it has no state of an optimizer to keep.
UpcycledCheckpoint upcycle_checkpoint(const std::string& path, const UpcycleTarget& target,
                                      const UpcycleOptions& options, int64_t seed);

}  // namespace softmoe
