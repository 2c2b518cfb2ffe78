#include "train/optimizer_options.h"

#include <charconv>
#include <cmath>
#include <regex>
#include <string_view>

#include "core/error.h"
#include "train/optimizers.h"

namespace softmoe {
namespace {

/// With a decay of 1 a mean never moves, and its correction divides by zero.
constexpr double kMaxBeta = 0.999999;
/// With zero, a weight whose gradients were all zero becomes NaN.
constexpr double kMinEps = 1e-30;

constexpr std::string_view kBlocks = "blocks.";

DecayRule parse_rule(const std::string& text) {
  const auto equals = text.rfind('=');
  const std::string expected = "PATTERN=DECAY, such as '^head.weight$=3.0'";
  if (equals == std::string::npos || equals == 0) {
    throw UsageError("decay-rules", expected, "'" + text + "'");
  }
  DecayRule rule{.pattern = text.substr(0, equals)};
  try {
    const std::string number = text.substr(equals + 1);
    size_t used = 0;
    rule.decay = std::stod(number, &used);
    if (used != number.size() || !(rule.decay >= 0)) {
      throw std::invalid_argument(number);
    }
    std::regex{rule.pattern};
  } catch (const std::logic_error&) {
    throw UsageError("decay-rules", expected, "'" + text + "'");
  } catch (const std::regex_error&) {
    throw UsageError("decay-rules", "a regular expression", "'" + rule.pattern + "'");
  }
  return rule;
}

}  // namespace

void describe(OptionTable& table, OptimizerOptions& options) {
  std::vector<std::string> names;
  for (const auto& row : optimizers()) {
    names.emplace_back(row.name);
  }
  table.add("opt", options.opt, "optimizer", {.choices = names});
  table.add("weight-decay", options.weight_decay,
            "decoupled decay of weights (times the learning rate), not of biases, norms, positions",
            {.min = 0});
  table.add(
      "decay-rules", options.decay_rules,
      "PATTERN=DECAY pairs that precede --weight-decay: decay of parameters of whose name the "
      "regular expression matches a part; the first match wins");
  table.add(
      "router-lr", options.router_lr,
      "ratio of the learning rate of routers to that of their layer; 0: they stay as they begin",
      {.min = 0});
  table.add("router-weight-decay", options.router_weight_decay,
            "decoupled decay of all parameters of routers (the logarithm of a scale with "
            "--router-scale-form exp); -1: --weight-decay for weights and scales, none for slots",
            {.min = -1});
  table.add("layer-decay", options.layer_decay,
            "ratio of a layer's learning rate to that of the next layer: the head has --lr, the "
            "last block "
            "--lr times this, and so on down to the embeddings; 0 or 1: all have --lr",
            {.min = 0, .max = 1});
  table.add("momentum", options.momentum,
            "share of the last update that sgd keeps, decay of the mean of gradients in muon",
            {.min = 0, .max = 1, .follows = "0.9; muon 0.95"});
  table.add("beta1", options.beta1,
            "decay of the mean of gradients in adamw, adafactor and lamb; lion: its share in the "
            "update",
            {.min = 0, .max = kMaxBeta});
  table.add("beta2", options.beta2,
            "decay of the mean of squared gradients in adamw and lamb, at most this in adafactor; "
            "lion: of the mean of gradients",
            {.min = 0, .max = kMaxBeta, .follows = "0.999; lion 0.99"});
  table.add("opt-eps", options.opt_eps, "added to the root in the denominator of adamw and lamb",
            {.min = kMinEps, .follows = "1e-8; lamb 1e-6"});
  table.add("clip-grad", options.clip_grad,
            "max norm of all gradients together, above which they are scaled; 0: no limit",
            {.min = 0});
  table.add("mu-dtype", options.mu_dtype,
            "how adamw and lion store the mean of gradients, as optax's mu_dtype: bfloat16 takes "
            "half the memory; the others have a dtype of their own",
            {Precision::kFloat32, Precision::kBFloat16});
  table.add("sam-rho", options.sam_rho,
            "sharpness-aware minimisation: take the gradients at the worst place within this "
            "distance, which costs each update a second forward and backward pass; 0: none, usual "
            "0.05",
            {.min = 0});
}

std::vector<DecayRule> decay_rules(const OptimizerOptions& options) {
  std::vector<DecayRule> rules;
  for (const auto& text : options.decay_rules) {
    rules.push_back(parse_rule(text));
  }
  rules.push_back({.pattern = R"(norm[^.]*\.weight$)", .decay = 0.0});
  if (options.router_weight_decay >= 0.0) {
    rules.push_back({.pattern = R"((^|\.)router\.)", .decay = options.router_weight_decay});
  }
  rules.push_back({.pattern = R"((^|[._])weight$)", .decay = options.weight_decay});
  rules.push_back({.pattern = R"((^|\.)router\.(combine_)?scale$)", .decay = options.weight_decay});
  return rules;
}

double parameter_decay(std::span<const DecayRule> rules, const std::string& name) {
  for (const auto& rule : rules) {
    if (std::regex_search(name, std::regex(rule.pattern))) {
      return rule.decay;
    }
  }
  return 0.0;
}

int64_t blocks_up_to(const std::string& name) {
  int64_t block = -1;
  if (name.starts_with(kBlocks)) {
    std::from_chars(name.data() + kBlocks.size(), name.data() + name.size(), block);
  }
  return block + 1;
}

int64_t layer_of(const std::string& name, int64_t depth) {
  for (const std::string_view embedding :
       {"patch_embed.", "pos_embed", "cls_token", "dist_token", "reg_token", "norm_pre."}) {
    if (name.starts_with(embedding)) {
      return 0;
    }
  }
  if (const int64_t blocks = blocks_up_to(name); blocks > 0) {
    return blocks;
  }
  return name.starts_with("norm.") ? depth : depth + 1;
}

double layer_rate(const OptimizerOptions& options, const std::string& name, int64_t depth) {
  const double router = name.find(".router.") == std::string::npos ? 1.0 : options.router_lr;
  if (options.layer_decay == 0.0 || options.layer_decay == 1.0) {
    return router;
  }
  return router *
         std::pow(options.layer_decay, static_cast<double>(depth + 1 - layer_of(name, depth)));
}

}  // namespace softmoe
