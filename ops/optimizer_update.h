#pragma once
/// The element-wise work of a training step over all parameters at once. All functions work in
/// place and without gradients.

#include <torch/types.h>

#include <vector>

namespace softmoe {

/// Parameters, their gradients and their state, in lists of equal length.
struct UpdatedTensors {
  std::vector<torch::Tensor> parameters;
  std::vector<torch::Tensor> gradients;           ///< of any dtype and layout; may be overwritten
  std::vector<std::vector<torch::Tensor>> state;  ///< by kind, then by parameter
};

/// One step of AdamW (Loshchilov and Hutter, arXiv:1711.05101, algorithm 2) with `lr` as alpha.
struct AdamWStep {
  double lr = 0.0;
  double decay = 0.0;  ///< decoupled weight decay, which lr multiplies too
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  int64_t step = 1;              ///< updates of these parameters, this one included
  double gradient_factor = 1.0;  ///< of the gradients, before anything else
};
/// State: means of the gradients, which may be bf16, and mean squares.
void adamw_update(const AdamWStep& step, const UpdatedTensors& tensors);

/// One step of AdamW with moments in 8 bits (ops/quantized_moments.h). State: codes of the means
/// and of the mean squares, uint8 in the shape of the parameter, and the scales of both, fp32
/// [moment_blocks(elements)].
void adamw_8bit_update(const AdamWStep& step, const UpdatedTensors& tensors);

/// One step of gradient descent with heavy-ball momentum, as optax.trace: m = momentum m + g.
struct SgdStep {
  double lr = 0.0;
  double decay = 0.0;  ///< decoupled weight decay, which lr multiplies too
  double momentum = 0.9;
  double gradient_factor = 1.0;  ///< of the gradients, before anything else
};
/// State: m.
void sgd_update(const SgdStep& step, const UpdatedTensors& tensors);

/// What clipping found, and what it left to the update.
struct GradientClip {
  torch::Tensor norm;            ///< [] fp32: the norm before clipping
  double gradient_factor = 1.0;  ///< what the update is still to multiply the gradients by
};
/// Clips all `gradients` together to the Euclidean norm `max_norm` (0: not at all) for an update
/// that follows: where the update can scale the gradients on its way, they stay as they are.
GradientClip clip_for_update(const std::vector<torch::Tensor>& gradients, double max_norm);

/// The Euclidean norm of all `gradients` together, [], fp32. If it exceeds `max_norm` > 0, they are
/// scaled in place to that norm.
torch::Tensor clip_gradient_norm(const std::vector<torch::Tensor>& gradients, double max_norm);

}  // namespace softmoe
