#pragma once
/// Experts choose tokens: each expert takes the tokens of a group that it rates highest.
/// Source: Zhou et al., arXiv:2202.09368.

#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include "softmoe/assignment/top_gates.h"
#include "softmoe/moe_options.h"
#include "softmoe/router.h"
#include "softmoe/routers.h"
#include "softmoe/routers/sparse_router.h"

namespace softmoe {

/// The tokens [groups, experts, capacity] that experts chose by top_gates_of_experts, with the
/// gates of each token's experts scaled to a sum of 1; groups have `tokens` tokens. Source:
/// Komatsuzaki et al., arXiv:2212.05055, section 3.
TopGates renormalize(const TopGates& chosen, int64_t tokens);

/// Parameter: `weight` [experts, dim]. The gates are the softmax over experts; a token reaches any
/// number of experts, none to all. Routing groups of several images depends on all of them.
class ExpertsChoiceRouterImpl : public torch::nn::Cloneable<ExpertsChoiceRouterImpl>,
                                public SparseRouter {
 public:
  explicit ExpertsChoiceRouterImpl(const MoeLayerOptions& options);

  void reset() override;
  Routed decide(const torch::Tensor& tokens, const TokenContext& context,
                RoutingRecord* record) override;

  torch::Tensor weight;

 private:
  MoeLayerOptions options_;
};
TORCH_MODULE(ExpertsChoiceRouter);

RouterCost experts_choice_cost(const MoeLayerOptions& options);

}  // namespace softmoe
