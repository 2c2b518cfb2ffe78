#pragma once
/// The options of optimizers, and what they say about each parameter by its name.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/options.h"
#include "core/precision.h"

namespace softmoe {

/// Which optimizer, and its parameters.
struct OptimizerOptions {
  std::string opt = "adamw";
  double weight_decay = 0.03;
  std::vector<std::string> decay_rules;
  double router_lr = 1.0;  ///< ratio of the learning rate of routers to that of their layer
  double router_weight_decay = -1.0;  ///< of all parameters of routers; -1: as of other parameters
  double layer_decay = 1.0;  ///< ratio of a layer's learning rate to the next layer's; 0 or 1: none
  double momentum = 0.9;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double opt_eps = 1e-8;
  double clip_grad = 1.0;
  Precision mu_dtype = Precision::kFloat32;  ///< of means of gradients
  double sam_rho = 0.0;                      ///< radius of sharpness-aware minimisation; 0: none
  bool operator==(const OptimizerOptions&) const = default;
};
void describe(OptionTable& table, OptimizerOptions& options);

/// The decay of every parameter whose name has a part that matches the regular expression
/// `pattern`.
struct DecayRule {
  std::string pattern;
  double decay = 0.0;
};
/// The rules of `options`, in order: `decay_rules` ("pattern=decay"), then no decay for
/// normalisations, `router_weight_decay` for all parameters of routers if it is not negative,
/// `weight_decay` for other weights and for the scales of a soft router. Parameters
/// that match nothing (biases, position embeddings, tokens, slot parameters) have no decay. Throws
/// UsageError for a malformed rule.
std::vector<DecayRule> decay_rules(const OptimizerOptions& options);
/// The decay of the first rule that `name` matches, or 0.
double parameter_decay(std::span<const DecayRule> rules, const std::string& name);

/// The min number of blocks of a transformer that has the parameter `name`: 3 for
/// "blocks.2.attn.qkv.weight", 0 for a name outside the blocks.
int64_t blocks_up_to(const std::string& name);
/// The layer of the parameter `name` in a transformer of `depth` blocks, as timm and BEiT count
/// them (Bao et al., arXiv:2106.08254): 0 for embeddings of patches, positions and class token,
/// i + 1 for block i, `depth` for the final norm on tokens, depth + 1 for all after it.
int64_t layer_of(const std::string& name, int64_t depth);
/// The factor of the learning rate of the parameter: layer_decay to the power of the layers between
/// it and the last one, times router_lr for parameters of routers.
double layer_rate(const OptimizerOptions& options, const std::string& name, int64_t depth);

}  // namespace softmoe
