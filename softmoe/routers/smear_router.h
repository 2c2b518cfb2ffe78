#pragma once
/// Soft merging of experts: every image goes through one expert, a mixture of all experts'
/// parameters.

#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include "softmoe/moe_options.h"
#include "softmoe/router.h"
#include "softmoe/routers.h"

namespace softmoe {

/// SMEAR: an image's mixture is softmax(mean token * weight); ExpertsImpl::forward_merged does the
/// rest. Parameter: `weight` [experts, dim].
/// Source: Muqeeth, Liu and Raffel, arXiv:2306.03745, section 3.
class SmearRouterImpl : public torch::nn::Cloneable<SmearRouterImpl>, public Router {
 public:
  explicit SmearRouterImpl(const MoeLayerOptions& options);

  void reset() override;
  Routed route(const torch::Tensor& tokens, const TokenContext& context,
               RoutingRecord* record) override;
  /// Throws c10::ValueError: merged experts have no outputs to combine.
  torch::Tensor combine(const Routed& routed, const torch::Tensor& expert_outputs) override;

  torch::Tensor weight;

 private:
  MoeLayerOptions options_;
};
TORCH_MODULE(SmearRouter);

/// What SMEAR costs: the router on one token, and the mixture of parameters, for each image.
RouterCost smear_router_cost(const MoeLayerOptions& options);

}  // namespace softmoe
