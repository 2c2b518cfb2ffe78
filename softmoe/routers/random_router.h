#pragma once
/// Routing at random: a mixture of experts without any rule.

#include <torch/nn/pimpl.h>

#include "softmoe/exact_buffers.h"
#include "softmoe/routers/sparse_router.h"

namespace softmoe {

/// Training: a fresh random permutation of the batch's tokens is dealt to the experts in turn at
/// every step and layer, so that loads differ by 1 at most; from torch's generator. Evaluation: the
/// fixed balanced map of positions that PositionHashRouter has. Outputs as they are, no loss.
/// Buffer: `expert_of_position` [tokens] int64. Source: Zuo et al., arXiv:2110.04260, section 3
/// (there one draw for each sequence; balanced here).
class RandomRouterImpl : public ExactBuffers<RandomRouterImpl>, public SparseRouter {
 public:
  /// Throws c10::ValueError if `options` do not say how many tokens an image has.
  explicit RandomRouterImpl(const MoeLayerOptions& options);

  void reset() override;
  /// `tokens` must be as many per image as the options say.
  Routed decide(const torch::Tensor& tokens, const TokenContext& context,
                RoutingRecord* record) override;

  torch::Tensor expert_of_position;

 private:
  MoeLayerOptions options_;
};
TORCH_MODULE(RandomRouter);

}  // namespace softmoe
