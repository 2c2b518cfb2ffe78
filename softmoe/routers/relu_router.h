#pragma once
/// ReLU routing: a token goes to every expert whose gate is positive.

#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include "softmoe/routers/sparse_router.h"

namespace softmoe {

/// The load-balanced L1 norm of `gates` [tokens, experts], none negative: the mean over tokens of
/// sum_e f_e * gate_e, with f_e = experts / (top_k * tokens) * the number of tokens that expert e
/// gets. []; gradients reach the gates, not f. Source: arXiv:2412.14711, section 3.4.
torch::Tensor balanced_l1(const torch::Tensor& gates, int64_t top_k);

/// The next coefficient of that norm: `coefficient` * multiplier^sign(target - sparsity), where
/// the sparsity is the share of zeros in `gates` [tokens, experts] and the target is that of top_k
/// experts per token. At least `minimum`, which the paper does not have: a coefficient that fell
/// freely while gates are too sparse would take as long to come back. Source: arXiv:2412.14711,
/// section 3.3.
torch::Tensor adapted_l1_coefficient(const torch::Tensor& coefficient, const torch::Tensor& gates,
                                     int64_t top_k, double multiplier, double minimum);

/// ReMoE: gates = relu(tokens * weight), outputs are multiplied by them. Experts take all tokens
/// sent to them; a token without a positive gate gets 0. Parameter: `weight` [experts, dim].
/// Buffer: `l1_coefficient` [], adapted once in every forward pass of training. The paper adapts
/// one coefficient for all layers once per step; here each layer has its own, which holds each
/// layer, not only their mean, at top_k experts per token. It never falls below its first value.
/// That is a mean: single tokens get more experts, others none. Source: Wang et al.,
/// arXiv:2412.14711.
class ReluRouterImpl : public torch::nn::Cloneable<ReluRouterImpl>, public SparseRouter {
 public:
  explicit ReluRouterImpl(const MoeLayerOptions& options);

  void reset() override;
  Routed decide(const torch::Tensor& tokens, const TokenContext& context,
                RoutingRecord* record) override;

  torch::Tensor weight;
  torch::Tensor l1_coefficient;

 private:
  MoeLayerOptions options_;
};
TORCH_MODULE(ReluRouter);

/// What ReMoE costs once it has reached its target of top_k experts per token; before, it has no
/// bound but all experts for all tokens.
RouterCost relu_router_cost(const MoeLayerOptions& options);

}  // namespace softmoe
