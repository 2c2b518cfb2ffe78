#pragma once
/// The identity ablation of Soft MoE.

#include <torch/nn/cloneable.h>

#include "softmoe/routers/sparse_router.h"

namespace softmoe {

/// Token i is slot i: needs as many slots as tokens. No parameters. Source: Puigcerver et al.,
/// arXiv:2308.00951, section 3.5 and table 3.
class IdentityRouterImpl : public torch::nn::Cloneable<IdentityRouterImpl>, public SparseRouter {
 public:
  explicit IdentityRouterImpl(const MoeLayerOptions& options);

  void reset() override {}
  Routed decide(const torch::Tensor& tokens, const TokenContext& context,
                RoutingRecord* record) override;

 private:
  int64_t experts_;
  int64_t slots_per_expert_;
  int64_t dim_;
};

/// What it costs: nothing but the rows.
RouterCost identity_router_cost(const MoeLayerOptions& options);

}  // namespace softmoe
