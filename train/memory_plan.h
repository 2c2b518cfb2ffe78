#pragma once
/// How much memory training takes, counted from options without making a model, and how a run fits
/// into a given amount.

#include <cstdint>
#include <string>

#include "core/precision.h"
#include "train/run_options.h"
#include "vit/options.h"

namespace softmoe {

/// Bytes of the tensors of a training run.
struct MemoryPlan {
  int64_t weights = 0;
  int64_t gradients = 0;
  int64_t buckets = 0;      ///< in which several processes sum gradients
  int64_t optimizer = 0;    ///< its state
  int64_t averages = 0;     ///< of weights
  int64_t activations = 0;  ///< kept for the backward pass, of one batch
  int64_t work = 0;         ///< gradients of activations of the block with the most, or the loss
  /// Activations are needed beside all gradients: an update has several passes, or the first block
  /// is computed again when the gradients of all others are there.
  bool adds_up = false;

  /// The most that is in use at once. Gradients grow while activations go.
  int64_t peak() const;
  /// What the whole process takes: 10 % more, which tests find at most missing, and 0.5 GB of the
  /// program itself and of images that wait.
  int64_t process_peak() const;
};

/// The memory of training a model of `model` with `options` in `compute`, float32 or bfloat16, on a
/// processor with kernels, in each of `processes` that share batches, and experts as
/// ParallelOptions::expert_parallel says. Exact for weights, gradients and the optimizer;
/// activations are counted for the operators that the model runs, and estimated for what sparse
/// routers gather.
MemoryPlan plan_memory(const VitOptions& model, const RunOptions& options, Precision compute,
                       int64_t processes = 1);

/// Replaces what depends on the size and the number of batches in `plan`, which plan_memory() made
/// for the same model.
void plan_batches(MemoryPlan& plan, const VitOptions& model, const RunOptions& options,
                  Precision compute, int64_t processes);

/// What must change for a run to fit into `bytes`.
struct MemoryFit {
  int64_t batch_size = 0;        ///< of one batch
  int64_t grad_accum_steps = 1;  ///< batches of an update; the images of an update stay as many
  bool grad_checkpointing = false;
  MemoryPlan plan;

  /// "--batch-size 16 --grad-accum-steps 4 --grad-checkpointing"
  std::string flags() const;
};

/// The fastest way to run `options` within `bytes`: as asked, in more and smaller batches, or with
/// activations computed again. Batches stay as they are if outputs of the model depend on which
/// images share a batch. Throws UsageError that names `--fit-memory` if nothing fits.
MemoryFit fit_memory(const VitOptions& model, const RunOptions& options, Precision compute,
                     int64_t bytes);

/// Does what `options.train.fit_memory` asks for, if anything, and logs what was chosen. Throws
/// UsageError like fit_memory(), and for a text that is no number of bytes.
void apply_memory_limit(const VitOptions& model, RunOptions& options, Precision compute);

}  // namespace softmoe
