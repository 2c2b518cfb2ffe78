#include "softmoe/router_losses.h"

#include <torch/special.h>

#include <algorithm>

#include "softmoe/routers/reinforced_router.h"

namespace softmoe {
namespace {

/// Squared coefficient of variation over experts of `usage` [groups, experts], mean over groups.
torch::Tensor squared_variation(const torch::Tensor& usage) {
  const auto mean = usage.mean(-1);                           // [groups]
  const auto variance = usage.var(-1, /*unbiased=*/false);    // [groups]
  return (variance / mean.square().clamp_min(1e-30)).mean();  // []
}

torch::Tensor importance_loss(const RouterLossInputs& inputs) {
  const auto& logits = inputs.scores.logits;
  return logits.defined() ? squared_variation(logits.softmax(-1).sum(1)) : torch::Tensor();
}

/// Probability that an expert is among a token's top K under fresh noise of its own logit.
torch::Tensor load_loss(const RouterLossInputs& inputs) {
  const auto& scores = inputs.scores;
  if (!scores.noisy_logits.defined() || scores.noise_std <= 0) {
    return {};
  }
  const auto threshold = std::get<0>(scores.noisy_logits.topk(scores.top_k, -1))
                             .narrow(-1, scores.top_k - 1, 1);  // [groups, tokens, 1]
  const auto distance =
      (threshold - scores.logits) / scores.noise_std;   // [groups, tokens, experts]
  const auto chosen = torch::special::ndtr(-distance);  // [groups, tokens, experts]
  return squared_variation(chosen.mean(1));
}

torch::Tensor balance_loss(const RouterLossInputs& inputs) {
  const auto& logits = inputs.scores.logits;
  if (!logits.defined()) {
    return {};
  }
  const auto experts = logits.size(-1);
  const auto& chosen_by =
      inputs.scores.noisy_logits.defined() ? inputs.scores.noisy_logits : logits;
  const auto winner = chosen_by.detach().argmax(-1);  // [groups, tokens]
  const auto token_share =
      torch::full_like(winner, 1.0 / static_cast<double>(winner.size(1)), logits.options());
  const auto first = torch::zeros({winner.size(0), experts}, logits.options())
                         .scatter_add(1, winner, token_share);  // [groups, experts]
  const auto probability = chosen_by.softmax(-1).mean(1);       // [groups, experts]
  const auto scale = static_cast<double>(experts * experts);
  return (first * probability).mean(-1).mean() * scale;  // []
}

torch::Tensor z_loss(const RouterLossInputs& inputs) {
  const auto& logits = inputs.scores.logits;
  return logits.defined() ? logits.logsumexp(-1).square().mean() : torch::Tensor();
}

torch::Tensor token_entropy(const RouterLossInputs& inputs) {
  const auto& logits = inputs.scores.logits;
  if (!logits.defined()) {
    return {};
  }
  const auto log_p = logits.log_softmax(-1);  // [groups, tokens, experts]
  return -(log_p.exp() * log_p).sum(-1).mean();
}

torch::Tensor marginal_entropy(const RouterLossInputs& inputs) {
  const auto& logits = inputs.scores.logits;
  if (!logits.defined()) {
    return {};
  }
  const auto p = logits.softmax(-1).mean(1);              // [groups, experts]
  return -(p * p.clamp_min(1e-30).log()).sum(-1).mean();  // []
}

/// The reward of an image, minus its loss, for each of its tokens: [batch, tokens].
torch::Tensor token_rewards(const RouterLossInputs& inputs) {
  return (-inputs.image_losses.detach())
      .to(inputs.scores.baseline.dtype())
      .unsqueeze(1)
      .expand_as(inputs.scores.baseline);
}

bool has_policy(const RouterLossInputs& inputs) {
  return inputs.scores.actions.defined() && inputs.image_losses.defined();
}

torch::Tensor policy_loss(const RouterLossInputs& inputs) {
  if (!has_policy(inputs)) {
    return {};
  }
  const auto& scores = inputs.scores;
  const auto logits = scores.logits.view(
      {scores.actions.size(0), scores.actions.size(1), -1});  // [batch, tokens, experts]
  // All tokens of an image have one reward: only differences between images tell of the policy.
  const auto advantage = normalized_advantage(token_rewards(inputs), scores.baseline);
  return policy_gradient_loss(logits, scores.actions, advantage);  // []
}

torch::Tensor baseline_loss(const RouterLossInputs& inputs) {
  return has_policy(inputs)
             ? torch::huber_loss(inputs.scores.baseline, token_rewards(inputs).contiguous())
             : torch::Tensor();
}

torch::Tensor l1_loss(const RouterLossInputs& inputs) { return inputs.scores.activation_l1; }

constexpr std::array<RouterLossRow, kRouterLossCount> kLossRows{{
    {"importance", "importance-loss", "arXiv:1701.06538",
     "squared variation of the experts' summed gates", importance_loss},
    {"load", "load-loss", "arXiv:1701.06538",
     "squared variation of the experts' chances to be chosen (needs --router-noise)", load_loss},
    {"balance", "balance-loss", "arXiv:2006.16668",
     "experts^2 x mean of share of first choices x mean gate (GShard, Switch)", balance_loss},
    {"z", "z-loss", "arXiv:2202.08906", "squared logsumexp of the router's logits", z_loss},
    {"token_entropy", "token-entropy-loss", "arXiv:2206.02770",
     "entropy of a token's distribution over experts; negative coefficients raise it",
     token_entropy},
    {"marginal_entropy", "marginal-entropy-loss", "arXiv:2206.02770",
     "entropy of the mean distribution over experts; negative coefficients raise it",
     marginal_entropy},
    {"policy", "policy-loss", "arXiv:2202.01169",
     "REINFORCE with the image's loss as cost (router reinforced)", policy_loss},
    {"baseline", "baseline-loss", "arXiv:2202.01169",
     "Huber loss of the expected reward (router reinforced)", baseline_loss},
    {"l1", "l1-loss", "arXiv:2412.14711", "adaptive L1 of the activations (router relu)", l1_loss},
}};

}  // namespace

std::span<const RouterLossRow, kRouterLossCount> router_loss_rows() { return kLossRows; }

bool RouterLossOptions::any() const {
  return std::any_of(coefficients.begin(), coefficients.end(),
                     [](double coefficient) { return coefficient != 0; });
}

void describe(OptionTable& table, RouterLossOptions& options) {
  for (size_t row = 0; row < kRouterLossCount; ++row) {
    table.add(std::string(kLossRows[row].flag), options.coefficients[row],
              "coefficient of a router's loss: " + std::string(kLossRows[row].meaning));
  }
}

RouterLossOptions default_router_losses(const RouterRow& row) {
  RouterLossOptions options;
  for (const auto& [name, coefficient] : row.losses) {
    for (size_t loss = 0; loss < kRouterLossCount; ++loss) {
      if (kLossRows[loss].name == name) {
        options.coefficients[loss] = coefficient;
      }
    }
  }
  return options;
}

RouterLosses router_losses(const RouterLossOptions& options, const RoutingScores& scores,
                           const torch::Tensor& image_losses) {
  RouterLosses losses;
  for (size_t row = 0; row < kRouterLossCount; ++row) {
    if (options.coefficients[row] == 0) {
      continue;
    }
    const auto value = kLossRows[row].loss({.scores = scores, .image_losses = image_losses});
    if (!value.defined()) {
      continue;
    }
    const auto weighted = value * options.coefficients[row];  // []
    losses.total = losses.total.defined() ? losses.total + weighted : weighted;
    losses.values[std::string(kLossRows[row].name)] = value.detach();
  }
  return losses;
}

}  // namespace softmoe
