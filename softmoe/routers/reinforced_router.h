#pragma once
/// A router that learns by reinforcement: experts are drawn, an image's own loss is their cost.

#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include "softmoe/routers/sparse_router.h"

namespace softmoe {

/// An expert for each token, int64 without gradient, of `logits` [batch, tokens, experts]: drawn
/// from their softmax by torch's global generator, or the most probable one; [batch, tokens].
torch::Tensor choose_experts(const torch::Tensor& logits, bool draw);

/// REINFORCE (Williams, 1992): the mean over tokens of -advantage * log softmax(logits)[action],
/// []. `logits` [..., experts]; `actions`, int64, and `advantage` [...], which gets no gradient.
torch::Tensor policy_gradient_loss(const torch::Tensor& logits, const torch::Tensor& actions,
                                   const torch::Tensor& advantage);

/// reward - baseline of tokens [batch, tokens], shifted and scaled to mean 0 and standard deviation
/// 1 over the batch, without gradient. One image alone is left unscaled: all its tokens share one
/// reward.
torch::Tensor normalized_advantage(const torch::Tensor& reward, const torch::Tensor& baseline);

/// RL-R: training draws one expert per token, evaluation takes the most probable; outputs are not
/// scaled, so that the router learns from its losses alone (router_losses.h: policy, baseline).
/// Experts take all tokens sent to them. Parameters: `weight` [experts, dim]; `baseline_weight`
/// [1, dim] and `baseline_bias` [1], the reward that a token expects.
/// Source: Clark et al., arXiv:2202.01169, section 3.
class ReinforcedRouterImpl : public torch::nn::Cloneable<ReinforcedRouterImpl>,
                             public SparseRouter {
 public:
  explicit ReinforcedRouterImpl(const MoeLayerOptions& options);

  void reset() override;
  Routed decide(const torch::Tensor& tokens, const TokenContext& context,
                RoutingRecord* record) override;

  torch::Tensor weight;
  torch::Tensor baseline_weight;
  torch::Tensor baseline_bias;

 private:
  MoeLayerOptions options_;
};
TORCH_MODULE(ReinforcedRouter);

/// What RL-R costs.
RouterCost reinforced_router_cost(const MoeLayerOptions& options);

}  // namespace softmoe
