#pragma once
/// Layers with sparse routers in the packed forward pass: each row of an expert is one token.

#include <atomic>

#include "inference/packed/expert_rows.h"
#include "inference/packed/packed_linear.h"
#include "runtime/thread_team.h"

namespace softmoe {

/// Runs the experts of a layer on the rows that its router decided on.
class SparsePass {
 public:
  /// `layers` must outlive the object; at most `block_rows` rows go through an MLP at a time.
  SparsePass(const PackedLayers& layers, int64_t block_rows)
      : layers_(layers), block_rows_(block_rows) {}

  /// Takes a decision and the memory that it asks for, before a team of `threads` threads runs it.
  /// Throws c10::ValueError for tokens that the batch does not have.
  void take(const SparseRows& rows, int64_t threads);
  /// Adds to each of the tokens `x` [batch * tokens, dim] the outputs of its experts times their
  /// gates, all threads of the team together. `normed` [batch * tokens, dim] are the tokens as
  /// experts see them. This thread's share of the rows of `x` is ready when it returns. `rows`
  /// [block rows, dim] and `scratch` are memory of this thread.
  void run(const PackedBlock& block, const ThreadTeam& team, const float* normed, float* x,
           const ValueRows& rows, const MlpScratch& scratch);

 private:
  void run_block(const PackedBlock& block, int64_t index, int64_t next, const float* normed,
                 const ValueRows& rows, const MlpScratch& scratch);
  void add_outputs(const ThreadTeam& team, float* x);

  int64_t dim() const { return layers_.options.dim; }

  const PackedLayers& layers_;
  int64_t block_rows_;
  ExpertRows rows_;
  std::atomic<int64_t> next_block_{0};  // that no thread has taken yet
  Arena arena_;
  ValueRows outputs_{};  // [rows of all experts, dim]
};

}  // namespace softmoe
