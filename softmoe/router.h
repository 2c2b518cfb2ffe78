#pragma once
/// What every routing family of the MoE layer has in common.

#include <torch/nn/module.h>
#include <torch/types.h>

#include <map>
#include <memory>
#include <string>

#include "ops/packed_sequences.h"
#include "ops/soft_mixing.h"
#include "softmoe/sparse_rows.h"

namespace softmoe {

/// What the surrounding model knows about the tokens of a layer beside their values.
struct TokenContext {
  /// Pixels of the image patches, [batch, patches, pixels]: the last `patches` tokens of an image
  /// are these patches, tokens before them (a class token) have none. Undefined if the layer
  /// stands alone.
  torch::Tensor patches;
  /// Codes of the patches, [batch, patches] int64: the first layer that routes by the content of
  /// patches leaves them here for the others, which have equal codes.
  mutable torch::Tensor codes = {};
  /// The texts in tokens [1, tokens, dim], which are packed; RouterRow::texts says how routers see
  /// them.
  PackedSequences sequences = {};
};

/// What the losses of routers are computed from. Undefined tensors do not apply to the router; all
/// are fp32 (fp64 for fp64 tokens) and carry gradients.
struct RoutingScores {
  torch::Tensor logits;         ///< [groups, tokens of a group, experts], without noise
  torch::Tensor noisy_logits;   ///< `logits` with the noise of training
  double noise_std = 0.0;       ///< standard deviation of that noise
  int64_t top_k = 1;            ///< experts that a token asks for
  torch::Tensor actions;        ///< [batch, tokens] int64: the sampled experts of a policy
  torch::Tensor baseline;       ///< [batch, tokens]: the reward that a policy expects
  torch::Tensor activation_l1;  ///< []: the weighted mean activation of a ReLU router
};

/// How far soft routing differs from giving every expert the mean token. All are [] fp32; 1 is no
/// difference, but for the scale.
struct MixingState {
  torch::Tensor scale;              ///< of the logits; undefined if the router has none
  torch::Tensor combine_scale;      ///< of those of combine, if it has one of its own
  torch::Tensor dispatch_entropy;   ///< of a slot's weights, as a share of that of equal weights
  torch::Tensor combine_entropy;    ///< of a token's weights, as a share of that of equal weights
  torch::Tensor input_similarity;   ///< mean cosine between the inputs of two slots of an image
  torch::Tensor output_similarity;  ///< mean cosine between the outputs of two slots of an image

  /// The tensors that are defined, by their names here.
  std::map<std::string, torch::Tensor> values() const;
};

/// The use of the experts of a layer. Tokens are counted over the whole batch.
struct ExpertLoad {
  torch::Tensor load;        ///< [experts]: share of all expert inputs that each expert gets
  torch::Tensor importance;  ///< [experts]: share of the combine weights that each expert has
  torch::Tensor dropped;     ///< []: share of the tokens that reach no expert
  torch::Tensor entropy;     ///< []: mean entropy of a token's distribution over experts, nats
  MixingState mixing = {};   ///< of soft routers
};

/// What is kept of a layer's routing beside its outputs. Each costs time.
struct RoutingWants {
  bool weights = false;  ///< RoutingRecord::dispatch and combine
  bool scores = false;   ///< RoutingRecord::scores
  bool load = false;     ///< RoutingRecord::load
};

/// What a router decided for one batch, as far as it is wanted. Undefined tensors do not apply to
/// the router. `slots_per_expert` is 1 for routers without slots: there dispatch is 1 if a
/// token reaches an expert, and combine what the output of the expert is multiplied by.
struct RoutingRecord {
  RoutingWants wants{.weights = true};
  torch::Tensor dispatch{};  ///< [batch, tokens, experts, slots_per_expert]
  torch::Tensor combine{};   ///< [batch, tokens, experts, slots_per_expert]
  RoutingScores scores{};
  ExpertLoad load{};
};

/// Expert inputs and what combine() needs to undo the routing.
struct Routed {
  torch::Tensor expert_inputs;  ///< [experts, rows, dim]
  SoftMix mix;                  ///< soft routers: how the tokens were mixed
  SparseRows rows;              ///< sparse routers: the token of each row
  torch::Tensor passthrough;    ///< [batch, tokens, dim] to add to the output, or undefined
  /// Merging routers: [batch, experts], each image's own mixture of the experts' parameters; then
  /// the tokens go through that one expert, and nothing else here is defined.
  torch::Tensor merge_weights;
};

/// What a router learns from before training.
enum class RouterSample {
  kNone,     ///< nothing
  kPatches,  ///< pixels of image patches
  kTokens,   ///< the tokens that its layer gets
};

/// Turns tokens into expert inputs, and expert outputs back into tokens.
class Router {
 public:
  virtual ~Router() = default;

  /// Routes `tokens` [batch, tokens, dim]; fills `record` if it is not null.
  virtual Routed route(const torch::Tensor& tokens, const TokenContext& context,
                       RoutingRecord* record) = 0;

  /// As route(), but `expert_inputs` may be undefined: for callers that gather rows themselves.
  virtual Routed decide(const torch::Tensor& tokens, const TokenContext& context,
                        RoutingRecord* record) {
    return route(tokens, context, record);
  }

  /// Output tokens [batch, tokens, dim] from `expert_outputs` [experts, rows, dim].
  virtual torch::Tensor combine(const Routed& routed, const torch::Tensor& expert_outputs) = 0;

  /// What the router waits for before it can be trained.
  virtual RouterSample wanted_sample() const { return RouterSample::kNone; }

  /// Learns what the router takes from a sample of the training set before training: `sample`
  /// [count, pixels] of patches or [count, dim] of tokens, as wanted_sample() says. `twin` is the
  /// router of another layer that has learned from the same patches, or null; a router of its kind
  /// takes over what it learned. Most take nothing.
  virtual void fit(const torch::Tensor& /*sample*/, const Router* /*twin*/) {}
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
