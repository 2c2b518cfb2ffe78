#pragma once
/// Tokens choose experts: the top K of a linear router, each expert up to its capacity.
///
/// Sources: V-MoE (Riquelme et al., arXiv:2106.05974), Switch (Fedus et al., arXiv:2101.03961),
/// ST-MoE (Zoph et al., arXiv:2202.08906), loss-free balancing (Wang et al., arXiv:2408.15664).

#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include "softmoe/routers/sparse_router.h"
#include "softmoe/routers/tokens_choice.h"

namespace softmoe {

/// Parameter: `weight` [experts, dim]. Buffer, if there is a rate for it: `selection_bias`
/// [experts], which each training forward moves unless the weight is frozen. Throws UsageError for
/// gates that would always be 1, which leave the router without a gradient: one expert a token, and
/// gates renormalised or taken after the top K.
class TokensChoiceRouterImpl : public torch::nn::Cloneable<TokensChoiceRouterImpl>,
                               public SparseRouter {
 public:
  explicit TokensChoiceRouterImpl(const MoeLayerOptions& options);

  void reset() override;
  Routed decide(const torch::Tensor& tokens, const TokenContext& context,
                RoutingRecord* record) override;

  torch::Tensor weight;
  torch::Tensor selection_bias;

 private:
  /// What a training step does to the logits and to the choice.
  torch::Tensor jittered(const torch::Tensor& tokens) const;
  RoutingScores score(const torch::Tensor& tokens) const;
  ChosenExperts choose(const torch::Tensor& logits);
  int64_t capacity(int64_t tokens) const;

  MoeLayerOptions options_;
};
TORCH_MODULE(TokensChoiceRouter);

RouterCost tokens_choice_cost(const MoeLayerOptions& options);

}  // namespace softmoe
