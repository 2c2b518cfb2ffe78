#pragma once
/// Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon): updates of matrices by the nearest
/// orthogonal matrix to their momentum.

#include <torch/types.h>

#include <array>

#include "ops/optimizer_update.h"

namespace softmoe {

/// One step of Muon, scaled as in arXiv:2502.16982, so that rates and decays of AdamW fit.
struct MuonStep {
  double lr = 0.0;
  double decay = 0.0;            ///< decoupled weight decay, which lr multiplies too
  double momentum = 0.95;        ///< decay of the mean of gradients; Nesterov's form
  double gradient_factor = 1.0;  ///< of the gradients, before anything else
};
/// Parameters of two dimensions, or three with one matrix each along the first. State: means of the
/// gradients. fp32 parameters are orthogonalized in the fastest precision of their device.
void muon_update(const MuonStep& step, const UpdatedTensors& tensors);
/// What multiplies the rate for a matrix, so that its update has the root mean square of AdamW's.
double muon_factor(int64_t rows, int64_t columns);

/// What norms are taken to be at least, by which matrices are divided first.
inline constexpr double kMinMuonNorm = 1e-7;
/// A step X <- a X + (b A + c A^2) X with A = X X^T.
struct NewtonSchulzStep {
  double a;
  double b;
  double c;
};
/// leloykun.github.io/ponder/muon-opt-coeffs, as in modded-nanogpt and timm ("quintic").
inline constexpr std::array<NewtonSchulzStep, 5> kNewtonSchulzSteps{{{4.0848, -6.8946, 2.9270},
                                                                     {3.9505, -6.3029, 2.6377},
                                                                     {3.7418, -5.5913, 2.3037},
                                                                     {2.8769, -3.1427, 1.2046},
                                                                     {2.8366, -3.0525, 1.2012}}};

/// The nearest matrix with orthogonal rows or columns, approximately: kNewtonSchulzSteps on each
/// matrix of `matrices`, [rows, columns] or [matrices, rows, columns], computed in `dtype`.
torch::Tensor orthogonalized(const torch::Tensor& matrices, torch::Dtype dtype);

}  // namespace softmoe
