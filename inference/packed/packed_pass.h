#pragma once
/// The forward pass of packed layers.

#include <cstdint>
#include <vector>

#include "inference/packed/embedding_pass.h"
#include "inference/packed/head_pass.h"
#include "inference/packed/merging_pass.h"
#include "inference/packed/mixing_pass.h"
#include "inference/packed/packed_linear.h"
#include "inference/packed/portion.h"
#include "inference/packed/sparse_pass.h"
#include "runtime/arena.h"

namespace softmoe {

/// Runs a model on a CPU: embedding, blocks, head. Blocks run on one team of threads until a router
/// has to decide, which takes operators of libtorch; then on the next team. The pass's memory is
/// kept from call to call and grows with the largest batch; calls must not overlap.
class PackedPass {
 public:
  explicit PackedPass(PackedLayers layers);
  PackedPass(const PackedPass&) = delete;
  PackedPass& operator=(const PackedPass&) = delete;

  const PackedLayers& layers() const { return layers_; }

  /// `features` [batch, feature_dim] of `images` [batch, in_chans, height, width].
  void run_features(const float* images, int64_t batch, float* features);
  /// For attention pooling, which is no part of this pass: tokens after the last block, and after
  /// the final norm if that is a norm of tokens, [batch, tokens, dim].
  void run_tokens(const float* images, int64_t batch, float* tokens);
  /// The features of pooled tokens [batch, dim], after run_tokens.
  void run_pooled(const float* pooled, int64_t batch, float* features);
  /// `logits` [batch, num_classes] of `features`.
  void run_head(const float* features, int64_t batch, float* logits);

 private:
  /// Memory of one thread.
  struct ThreadMemory {
    ValueRows normed{};  // [block rows, dim]
    IntegerScratch integers{};
    kernels::Unit* attention = nullptr;
    MlpScratch mlp{};
    EmbeddingPass::Scratch embedding{};
    MixingPass::Scratch mixing{};
    float* merging = nullptr;
    HeadPass::Scratch head{};
  };

  void reserve(int64_t batch, int64_t threads);
  ThreadMemory take_thread_memory(Arena& arena) const;
  const ThreadMemory& memory_of(const ThreadTeam& team) const {
    return thread_memory_[static_cast<size_t>(team.rank)];
  }
  int64_t rows() const { return batch_ * layers_.options.tokens(); }

  template <typename Finish>
  void run_blocks(const float* images, const Finish& finish);
  void run_block(const ThreadTeam& team, const PackedBlock& block);
  void decide(const PackedBlock& block, const TokenContext& context);
  void run_decided(const ThreadTeam& team, const PackedBlock& block);
  void project_queries(const PackedBlock& block, const Portion& portion,
                       const ThreadMemory& memory);
  void attend(const PackedBlock& block, const Portion& portion, const ThreadMemory& memory);
  void finish_block(const PackedBlock& block, const Portion& portion, const ThreadMemory& memory);

  PackedLayers layers_;
  kernels::PackedAttention attention_{};
  int64_t block_rows_;
  EmbeddingPass embedding_;
  MixingPass mixing_;
  SparsePass sparse_;
  MergingPass merging_;
  HeadPass head_;

  Arena arena_;
  int64_t batch_ = 0;
  int64_t threads_ = 0;
  float* x_ = nullptr;       // [rows, dim]: the residual stream
  ValueRows qkv_{};          // [places * tokens, 3 dim]
  ValueRows mixed_{};        // [rows, dim]: outputs of attention, and then normed inputs of experts
  float* normed_ = nullptr;  // [rows, dim]: inputs of routers that decide, and of their experts
  std::vector<ThreadMemory> thread_memory_;
};

}  // namespace softmoe
