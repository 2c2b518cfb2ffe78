#pragma once
/// BASE layers: routing by balanced linear assignment.

#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include "softmoe/routers/sparse_router.h"

namespace softmoe {

/// The expert of each token under a balanced assignment within each group: [groups, tokens] int64
/// from `scores` [groups, tokens, experts], computed on the CPU without gradient
/// (balanced_assignment in softmoe/assignment/auction.h says what happens if tokens do not
/// divide).
torch::Tensor balanced_experts(const torch::Tensor& scores);

/// A token x of expert e, whose output is f(x), becomes s f(x) + (1 - s) x with s = sigmoid(x w_e).
/// In training the experts are balanced_experts() of the scores x w, within sparse.group_images
/// images, 0: the batch; in evaluation each token goes to its best expert, however many others do.
/// Gradients flow through s and f only. Parameter: the experts' centroids, `weight` [experts, dim].
/// Source: Lewis et al., arXiv:2103.16716.
class BaseRouterImpl : public torch::nn::Cloneable<BaseRouterImpl>, public SparseRouter {
 public:
  explicit BaseRouterImpl(const MoeLayerOptions& options);

  void reset() override;
  Routed decide(const torch::Tensor& tokens, const TokenContext& context,
                RoutingRecord* record) override;

  torch::Tensor weight;

 private:
  MoeLayerOptions options_;
};
TORCH_MODULE(BaseRouter);

/// What it costs: each token goes to one expert.
RouterCost base_router_cost(const MoeLayerOptions& options);

}  // namespace softmoe
