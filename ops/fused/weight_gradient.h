#pragma once
/// Gradients of linear maps, for attention and MLPs.

#include <array>
#include <vector>

#include "kernels/gemm.h"
#include "runtime/arena.h"
#include "runtime/thread_team.h"

namespace softmoe::fused {

/// Rows whose gradients are added up at a time: what the backward pass holds of them stays in the
/// caches. A constant, so that sums do not depend on the number of threads.
inline constexpr int64_t kGradientRows = 512;

/// d_weight [outputs, inputs] (+)= d_out^T input and d_bias [outputs] (+)= column sums of d_out,
/// for d_out [rows, outputs] and input [rows, inputs], both of the precision of the products. What
/// is null is not computed.
struct WeightGradient {
  kernels::Source d_out;
  int64_t outputs;
  kernels::Source input;
  int64_t inputs;
  float* d_weight;
  float* d_bias;
  bool streams = false;  ///< writes d_weight past the caches (OutputMode::kStream)

  bool is_wanted() const { return d_weight != nullptr || d_bias != nullptr; }
};

/// Packed factors of one WeightGradient.
struct WeightGradientScratch {
  kernels::Unit* left;
  kernels::Unit* right;
};

/// Bytes that take_weight_gradient_scratch() needs for products over up to `rows` rows.
size_t weight_gradient_room(Precision precision, int64_t rows, int64_t outputs, int64_t inputs);
WeightGradientScratch take_weight_gradient_scratch(Arena& arena, Precision precision, int64_t rows,
                                                   int64_t outputs, int64_t inputs);

/// Computes two of them over the same rows, the threads of `team` sharing the outputs, and waits
/// for them; with `accumulate` they are added to what is there.
void weight_gradients(const ThreadTeam& team, Precision precision, int64_t rows,
                      const std::array<WeightGradient, 2>& pair,
                      const std::array<WeightGradientScratch, 2>& scratch, bool accumulate);

}  // namespace softmoe::fused
