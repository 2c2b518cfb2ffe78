#pragma once
/// The Mixture-of-Experts layer, which takes the place of the MLP of a transformer block.

#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include <memory>

#include "softmoe/expert_exchange.h"
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
  /// `tokens` and the result: [batch, tokens, dim]; packed texts if `context` says so. Fills
  /// `record` if it is not null; of texts that are routed by themselves (TextRouting::kByText) it
  /// gets no weights. Throws c10::ValueError for texts if the router takes none.
  torch::Tensor forward(const torch::Tensor& tokens, const TokenContext& context,
                        RoutingRecord* record = nullptr);
  /// The layer of tokens of which nothing else is known.
  torch::Tensor forward(const torch::Tensor& tokens, RoutingRecord* record = nullptr);

  /// Keeps the experts [first, first + count) alone; `exchange` reaches all. Throws c10::ValueError
  /// for routers that merge experts, which need all of them here.
  void share_experts(std::shared_ptr<const ExpertExchange> exchange, int64_t first, int64_t count);

  Router& router() const { return *router_.router; }

  const MoeLayerOptions& options() const { return options_; }

  Experts experts{nullptr};
  torch::Tensor gamma;

 private:
  /// What router and experts make of `tokens`, before LayerScale.
  torch::Tensor run(const torch::Tensor& tokens, const TokenContext& context,
                    RoutingRecord* record);
  /// The outputs of the experts for `inputs`, [experts, rows, dim]; `rows` of sparse routers.
  torch::Tensor run_experts(const torch::Tensor& inputs, const SparseRows& rows);
  torch::Tensor forward_together(const torch::Tensor& tokens, const TokenContext& context,
                                 RoutingRecord* record);
  /// Routes text by text; the experts see the rows of all at once.
  torch::Tensor forward_by_text(const torch::Tensor& tokens, const PackedSequences& texts,
                                RoutingRecord* record);

  MoeLayerOptions options_;
  RouterHandle router_;
  std::shared_ptr<const ExpertExchange> exchange_;  // null: all experts are here
};
TORCH_MODULE(MoeLayer);

}  // namespace softmoe
