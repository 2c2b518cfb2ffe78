#pragma once
/// Losses of routers by name, for their tests.

#include <span>
#include <string>

#include "core/registry.h"
#include "softmoe/router_losses.h"

namespace softmoe::test {

/// Loss `name` of `scores`; undefined where it does not apply.
inline torch::Tensor loss(const std::string& name, const RoutingScores& scores,
                          const torch::Tensor& image_losses = {}) {
  const auto rows = std::span<const RouterLossRow>(router_loss_rows());
  return find_row(rows, name, "loss").loss({.scores = scores, .image_losses = image_losses});
}

inline torch::Tensor loss(const std::string& name, const torch::Tensor& logits) {
  RoutingScores scores;
  scores.logits = logits;
  return loss(name, scores);
}

/// Scores of a policy with one token an image, as the reference's rewards are per token.
inline RoutingScores policy_scores(const torch::Tensor& logits, const torch::Tensor& actions,
                                   const torch::Tensor& baseline) {
  RoutingScores scores;
  scores.logits = logits;
  scores.actions = actions;
  scores.baseline = baseline;
  return scores;
}

}  // namespace softmoe::test
