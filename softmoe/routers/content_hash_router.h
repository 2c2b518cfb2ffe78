#pragma once
/// Routing by what an image patch shows: no parameters, no loss, outputs as they are.

#include <torch/nn/pimpl.h>

#include "softmoe/exact_buffers.h"
#include "softmoe/routers/sparse_router.h"

namespace softmoe {

/// What makes the code of a patch.
enum class ContentCode {
  kProjection,  ///< signs of random projections of its pixels, less their medians in the sample
  kKMeans,      ///< the nearest entry of a codebook of patches
};

/// Sends every token to the expert of its image patch's code. The code comes from the pixels alone,
/// so that it is taken once per forward pass, by the first layer, for all layers: these have equal
/// codes and equal maps, made from `hash_seed` and the sample of fit(), and stored in the
/// checkpoint. `hash_codes` codes; projections take the largest power of two up to that.
///
/// fit() learns the codebook, or the medians, and deals codes to experts by their frequency, the
/// most frequent first, each to the least loaded expert. Before it codebook entries are random,
/// medians 0, and a code goes to the expert code modulo experts. Token i without a patch (a class
/// token; every token of a layer that stands alone) goes to the expert i modulo experts.
///
/// Buffers, all int64: `codebook` [codes, pixels], or `projection` [pixels, bits] and `threshold`
/// [bits], in the fixed point of hash_maps.h; `expert_of_code` [codes]; `fitted` [], 0 or 1.
/// Source: Roller et al., arXiv:2106.04426 (there of words).
class ContentHashRouterImpl : public ExactBuffers<ContentHashRouterImpl>, public SparseRouter {
 public:
  /// Throws c10::ValueError for fewer than two codes.
  ContentHashRouterImpl(const MoeLayerOptions& options, ContentCode kind);

  void reset() override;
  Routed decide(const torch::Tensor& tokens, const TokenContext& context,
                RoutingRecord* record) override;
  RouterSample wanted_sample() const override;
  void fit(const torch::Tensor& patches, const Router* twin) override;

  /// Codes [count] int64 of `patches` [count, pixels].
  torch::Tensor codes(const torch::Tensor& patches) const;

  torch::Tensor codebook;
  torch::Tensor projection;
  torch::Tensor threshold;
  torch::Tensor expert_of_code;
  torch::Tensor fitted;

 private:
  /// codes() of points in fixed point, [count, pixels] fp64.
  torch::Tensor codes_of_points(const torch::Tensor& points) const;
  void learn_codes(const torch::Tensor& patches);

  MoeLayerOptions options_;
  ContentCode kind_;
  int64_t bits_;
  int64_t codes_;
};
TORCH_MODULE(ContentHashRouter);

/// What routing by content costs.
RouterCost content_hash_cost(const MoeLayerOptions& options, ContentCode kind);

}  // namespace softmoe
