#pragma once
/// The Mixture-of-Experts layer, which takes the place of the MLP of a transformer block.

#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include "softmoe/experts.h"
#include "softmoe/moe_options.h"
#include "softmoe/router.h"

namespace softmoe {

/// Joins a router with experts. Submodules: `router`, `experts`. With MoeOptions::moe_layer_scale
/// it has LayerScale (Touvron et al., arXiv:2103.17239), the parameter `gamma` [dim].
class MoeLayerImpl : public torch::nn::Cloneable<MoeLayerImpl> {
 public:
  explicit MoeLayerImpl(const MoeLayerOptions& options);

  void reset() override;
  /// `tokens` and the result: [batch, tokens, dim]. Fills `record` if it is not null.
  torch::Tensor forward(const torch::Tensor& tokens, const TokenContext& context,
                        RoutingRecord* record = nullptr);
  /// The layer of tokens of which nothing else is known.
  torch::Tensor forward(const torch::Tensor& tokens, RoutingRecord* record = nullptr);

  Router& router() const { return *router_.router; }

  const MoeLayerOptions& options() const { return options_; }

  Experts experts{nullptr};
  torch::Tensor gamma;

 private:
  /// What router and experts make of `tokens`, before LayerScale.
  torch::Tensor run(const torch::Tensor& tokens, const TokenContext& context,
                    RoutingRecord* record);

  MoeLayerOptions options_;
  RouterHandle router_;
};
TORCH_MODULE(MoeLayer);

}  // namespace softmoe
