#pragma once
/// Text towers by packed layers, on CPUs whose kernels compute in the precision (can_pack).

#include <mutex>

#include "core/named_tensors.h"
#include "inference/packed/block_pass.h"
#include "inference/text_engine.h"
#include "vit/text_batch.h"

namespace softmoe {

/// Runs a text tower whose weights were packed once, on the tokens of all texts without padding,
/// without operators of libtorch except in the decisions of routers.
class PackedText final : public TextEngine {
 public:
  /// `weights` as pack_text_layers() takes them.
  PackedText(const TextOptions& options, NamedTensors weights, Precision precision);

  const TextOptions& options() const override { return layers_.options; }
  int64_t weight_bytes() const override { return layers_.bytes(); }
  torch::Tensor embed(const torch::Tensor& ids, const torch::Tensor& lengths) override;

 private:
  void embed_tokens(const ThreadTeam& team, const TextBatch& texts, float* x) const;
  void pool(const ThreadTeam& team, const TextBatch& texts, const int64_t* ends, float* x,
            float* pooled) const;
  void pool_text(float* x, int64_t tokens, float* pooled) const;
  void project(const ThreadTeam& team, const float* pooled, int64_t texts, float* out) const;

  int64_t dim() const { return layers_.options.dim; }

  PackedTextLayers layers_;
  BlockPass blocks_;
  std::mutex mutex_;
};

}  // namespace softmoe
