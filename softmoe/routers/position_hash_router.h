#pragma once
/// Routing by the position of a token in its image: no parameters, no loss, outputs as they are.

#include <torch/nn/pimpl.h>

#include "softmoe/exact_buffers.h"
#include "softmoe/routers/sparse_router.h"

namespace softmoe {

/// How positions are dealt to experts.
enum class PositionRule {
  kBalanced,  ///< in the order of their hashes, in turn
  kBlock,     ///< neighbours together
  kModulo,    ///< position modulo experts
};

/// Sends every token to the expert of its position, in training and evaluation, in every image.
/// Tokens before the patches (a class token) are positions of their own. All layers of a model have
/// equal maps, made from `hash_seed` and stored in the checkpoint.
/// Buffer: `expert_of_position` [tokens] int64. Source: Roller et al., arXiv:2106.04426.
class PositionHashRouterImpl : public ExactBuffers<PositionHashRouterImpl>, public SparseRouter {
 public:
  /// Throws c10::ValueError if `options` do not say how many tokens an image has.
  PositionHashRouterImpl(const MoeLayerOptions& options, PositionRule rule);

  void reset() override;
  /// `tokens` must be as many per image as the options say.
  Routed decide(const torch::Tensor& tokens, const TokenContext& context,
                RoutingRecord* record) override;

  torch::Tensor expert_of_position;

 private:
  MoeLayerOptions options_;
  PositionRule rule_;
};
TORCH_MODULE(PositionHashRouter);

/// The cost of a rule of positions: every token fills one row.
RouterCost position_router_cost(const MoeLayerOptions& options);

}  // namespace softmoe
