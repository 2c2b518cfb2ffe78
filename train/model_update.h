#pragma once
/// One update of a model: gradients of one or more batches, clipping, the optimizer. The trainer
/// and the benchmarks of training run this code.

#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/batch_share.h"
#include "parallel/gradient_reducer.h"
#include "train/optimizer.h"
#include "train/train_step.h"

namespace softmoe {

/// The part of an update that one of several processes computes.
struct UpdatePart {
  GradientReducer* reducer = nullptr;         ///< null: one process makes the update
  GradientReducer* expert_reducer = nullptr;  ///< of experts, if several processes have the same
  bool shares_experts = false;  ///< gradients of experts come from images of several processes
  RowRange rows = {};           ///< of each batch
  int64_t batch = 1;            ///< images of each batch in all processes
  bool draws_by_image = false;  ///< an image gets the random numbers that it gets in one process

  /// The share of the images that this process computes, in [0, 1].
  double share() const { return static_cast<double>(rows.count) / static_cast<double>(batch); }
  /// The factors of the loss before the backward pass, and of gradients before their sum. Where
  /// gradients of experts cross processes, the loss has its share of that of all from the
  /// beginning.
  double loss_weight() const { return shares_experts ? share() : 1.0; }
  double sum_weight() const { return shares_experts ? 1.0 : share(); }
};

/// ModelUpdate::bad_gradient if each gradient of this process is finite.
inline constexpr std::string_view kNormAlone = "the norm of all gradients";

/// How an update is made.
struct UpdateOptions {
  StepOptions step;        ///< with the number of batches of the update
  double lr = 1e-3;        ///< learning rate
  double clip_grad = 1.0;  ///< max norm of all gradients together; 0: no limit
  double sam_rho = 0.0;    ///< radius of sharpness-aware minimisation (train/worst_nearby.h)
  bool record_norms = false;
  uint64_t random_key = 0;  ///< of everything that is random in the update
  UpdatePart part = {};
};

/// The Euclidean norms of a group of layers.
struct LayerNorms {
  double gradient = 0.0;  ///< before clipping
  double weight = 0.0;    ///< after the update
};

/// What an update returns.
struct ModelUpdate {
  double loss = 0.0;                ///< mean over the batches of all processes
  double gradient_norm = 0.0;       ///< before clipping
  std::vector<StepResult> batches;  ///< one per batch, of the images of this process
  /// By "embed", "blocks.<index>" and "head", of parameters with gradients; empty unless asked for.
  std::map<std::string, LayerNorms> norms = {};
  /// If the loss is finite and its gradients are not: "the gradient of PARAMETER" that is the first
  /// with NaN or infinity, or kNormAlone. Else empty.
  std::string bad_gradient = {};

  /// Returns true if parameters changed.
  bool is_finite() const { return std::isfinite(loss) && std::isfinite(gradient_norm); }
};

/// Updates `model` by `optimizer` from `options.step.batches` batches of `next_batch`, which are on
/// the model's device. No parameter changes if the loss or a gradient is NaN or
/// infinite.
ModelUpdate update_model(VisionTransformer& model, Optimizer& optimizer,
                         const ObjectiveOptions& objectives,
                         const std::function<Batch()>& next_batch, const UpdateOptions& options);

/// The update of a training run of `model` by the optimizer of `options` with the default losses of
/// its router, under autocast to `dtype`, as a function for benchmarks: takes images [batch,
/// channels, height, width] and labels [batch], gives the loss [].
std::function<torch::Tensor(const torch::Tensor& images, const torch::Tensor& labels)>
make_train_step(VisionTransformer model, torch::Dtype dtype, const OptimizerOptions& options = {});

}  // namespace softmoe
