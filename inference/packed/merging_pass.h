#pragma once
/// Layers whose router merges experts in the packed forward pass: each image or text (a sequence)
/// goes through one MLP, whose parameters are a mixture of those of all experts.

#include "inference/packed/packed_linear.h"
#include "inference/packed/sequence_rows.h"
#include "runtime/thread_team.h"

namespace softmoe {

/// Merges the experts of a layer, and runs the result.
class MergingPass {
 public:
  /// `layers` must outlive the object; at most `block_rows` rows go through an MLP at a time.
  MergingPass(const PackedLayers& layers, int64_t block_rows)
      : layers_(layers), block_rows_(block_rows) {}

  /// Takes the factors of an MLP's columns for one thread; null if no layer merges experts.
  float* take_scratch(Arena& arena) const;

  /// Takes the decision `weights` [sequences, experts] on `block`, and the memory that it asks for.
  void take(const PackedBlock& block, const torch::Tensor& weights);
  /// Adds to the tokens `x` [rows, dim] of `sequences` what the merged experts of each make of
  /// `normed` [rows, dim], all threads of the team together. All rows of `x` are ready when it
  /// returns. `rows` [block rows, dim], `scratch` and `factors` are memory of this thread.
  void run(const PackedBlock& block, const ThreadTeam& team, const SequenceRows& sequences,
           const float* normed, float* x, const ValueRows& rows, const MlpScratch& scratch,
           float* factors);

 private:
  void merge(const PackedBlock& block, const ThreadTeam& team, const IndexRange& merged,
             float* factors);
  void run_merged(const ThreadTeam& team, const SequenceRows& sequences, const IndexRange& merged,
                  const float* normed, float* x, const ValueRows& rows, const MlpScratch& scratch);
  ValueRows inputs(const float* normed, int64_t count, const ValueRows& rows) const;

  int64_t dim() const { return layers_.options.dim; }

  const PackedLayers& layers_;
  int64_t block_rows_;
  torch::Tensor weights_;  // [sequences, experts] fp32
  PackedMlp merged_;       // of the sequences that are merged together
};

}  // namespace softmoe
