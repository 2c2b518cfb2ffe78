#pragma once
/// Routing by optimal transport.

#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include "softmoe/routers/sparse_router.h"

namespace softmoe {

/// In training the experts are read off a balanced transport plan of the logits: each token's best
/// experts, or each expert's best tokens (sparse.plan_selection). In evaluation each token goes to
/// the experts of its highest logits, however many others do. No token is refused in either, but
/// with an expert's best tokens some stay without an expert. The plan has no gradient, the gates
/// (transport_gates) carry it to the logits. Tokens of sparse.group_images images, 0: of the batch,
/// share a plan. Parameter: `weight` [experts, dim].
/// Source: Clark et al., arXiv:2202.01169, "S-BASE".
class SinkhornRouterImpl : public torch::nn::Cloneable<SinkhornRouterImpl>, public SparseRouter {
 public:
  explicit SinkhornRouterImpl(const MoeLayerOptions& options);

  void reset() override;
  Routed decide(const torch::Tensor& tokens, const TokenContext& context,
                RoutingRecord* record) override;

  torch::Tensor weight;

 private:
  torch::Tensor plan(const torch::Tensor& logits) const;
  int64_t choices() const;

  MoeLayerOptions options_;
};
TORCH_MODULE(SinkhornRouter);

/// What it costs: each token goes to sparse.top_k experts, on average.
RouterCost sinkhorn_router_cost(const MoeLayerOptions& options);

}  // namespace softmoe
