#pragma once
/// What every routing family of the MoE layer has in common.

#include <torch/nn/module.h>
#include <torch/types.h>

#include <map>
#include <memory>
#include <string>

namespace softmoe {

/// What a router decided for one batch, as far as it is kept on request. Undefined tensors do not
/// apply to the router.
struct RoutingRecord {
  torch::Tensor dispatch;  ///< [batch, tokens, experts, slots_per_expert]
  torch::Tensor combine;   ///< [batch, tokens, experts, slots_per_expert]
};

/// Expert inputs and what combine() needs to undo the routing.
struct Routed {
  torch::Tensor expert_inputs;    ///< [experts, rows, dim]
  torch::Tensor combine_weights;  ///< soft routers: [batch, tokens, slots]
  /// Auxiliary losses of this layer by name, scalars, already averaged over groups.
  std::map<std::string, torch::Tensor> losses;
};

/// Turns tokens into expert inputs, and expert outputs back into tokens.
class Router {
 public:
  virtual ~Router() = default;

  /// Routes `tokens` [batch, tokens, dim]; fills `record` where it is not null.
  virtual Routed route(const torch::Tensor& tokens, RoutingRecord* record) = 0;

  /// Output tokens [batch, tokens, dim] from `expert_outputs` [experts, rows, dim].
  virtual torch::Tensor combine(const Routed& routed, const torch::Tensor& expert_outputs) = 0;
};

/// A router, and the module that owns its parameters (the same object seen from both sides:
/// libtorch's Cloneable cannot share a base class with an interface).
struct RouterHandle {
  std::shared_ptr<torch::nn::Module> module;
  Router* router = nullptr;
};

template <typename RouterModule>
RouterHandle make_router_handle(std::shared_ptr<RouterModule> module) {
  Router* router = module.get();
  return {.module = std::move(module), .router = router};
}

}  // namespace softmoe
