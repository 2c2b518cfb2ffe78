#pragma once
/// From pixels to tokens: the start of the packed forward pass.

#include "inference/packed/packed_linear.h"
#include "runtime/thread_team.h"

namespace softmoe {

/// Embeds patches, and adds positions and prefix tokens.
class EmbeddingPass {
 public:
  /// Memory of one thread.
  struct Scratch {
    ValueRows pixels{};      // [block rows, pixels of a patch]
    float* patch = nullptr;  // the pixels of one patch
  };

  /// `layers` must outlive the object; `block_rows` patches are multiplied at a time.
  EmbeddingPass(const PackedLayers& layers, int64_t block_rows)
      : layers_(layers), block_rows_(block_rows) {}

  Scratch take_scratch(Arena& arena) const;

  /// Fills `x` [batch, tokens, dim] from `images` [batch, in_chans, height, width], all threads of
  /// the team together. This thread's share of the rows of `x` is ready when it returns.
  void run(const ThreadTeam& team, const float* images, int64_t batch, const Scratch& scratch,
           float* x) const;

 private:
  void embed_patches(const float* image, int64_t first, int64_t count, const Scratch& scratch,
                     float* x) const;

  const PackedLayers& layers_;
  int64_t block_rows_;
};

}  // namespace softmoe
