#pragma once
/// From tokens to features and logits: the end of the packed forward pass.

#include "inference/packed/packed_linear.h"
#include "runtime/thread_team.h"

namespace softmoe {

/// Pools tokens (all but attention pooling), and applies the final norm, pre-logits and head.
class HeadPass {
 public:
  /// Memory of one thread.
  struct Scratch {
    float* row = nullptr;     // [dim]
    float* pooled = nullptr;  // [pooled_dim]
  };

  /// `layers` must outlive the object.
  explicit HeadPass(const PackedLayers& layers) : layers_(layers) {}

  Scratch take_scratch(Arena& arena) const;

  /// This thread's share of `features` [batch, feature_dim] of `x` [batch, tokens, dim].
  void pool(const ThreadTeam& team, const float* x, int64_t batch, const Scratch& scratch,
            float* features) const;

  /// `features` [batch, feature_dim] of pooled tokens [batch, dim].
  void finish(const float* pooled, int64_t batch, const Scratch& scratch, float* features) const;

  /// `logits` [batch, num_classes] of `features`; runs a team.
  void run(const float* features, int64_t batch, float* logits) const;

 private:
  void pool_image(const float* x, const Scratch& scratch, float* features) const;
  void finish_image(const float* pooled, bool is_normed, const Scratch& scratch,
                    float* features) const;

  const PackedLayers& layers_;
};

}  // namespace softmoe
