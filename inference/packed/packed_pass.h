#pragma once
/// The forward pass of packed layers over images.

#include <cstdint>
#include <vector>

#include "inference/packed/block_pass.h"
#include "inference/packed/embedding_pass.h"
#include "inference/packed/head_pass.h"

namespace softmoe {

/// Runs a model on a CPU: embedding, blocks (BlockPass), head.
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
    EmbeddingPass::Scratch embedding{};
    HeadPass::Scratch head{};
  };

  void reserve(int64_t threads);
  const ThreadMemory& memory_of(const ThreadTeam& team) const {
    return thread_memory_[static_cast<size_t>(team.rank)];
  }
  void run(const float* images, int64_t batch, const BlockPass::Step& finish);

  PackedLayers layers_;
  BlockPass blocks_;
  EmbeddingPass embedding_;
  HeadPass head_;

  Arena arena_;
  std::vector<ThreadMemory> thread_memory_;
};

}  // namespace softmoe
