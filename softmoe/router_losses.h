#pragma once
/// The losses that routers are trained with beside the task's own, by name.
///
/// Each is computed per group and averaged over groups; a layer that does not have what a loss
/// needs (logits, noise, sampled actions) does not have that loss.

#include <torch/types.h>

#include <array>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "softmoe/router.h"
#include "softmoe/routers.h"

namespace softmoe {

/// What a loss is computed from.
struct RouterLossInputs {
  const RoutingScores& scores;
  torch::Tensor image_losses;  ///< [batch], the task's loss of each image, no gradient
};

struct RouterLossRow {
  std::string_view name;
  std::string_view flag;  ///< of its coefficient
  std::string_view source;
  std::string_view meaning;
  /// The loss, [], or an undefined tensor if it does not apply.
  torch::Tensor (*loss)(const RouterLossInputs& inputs);
};

inline constexpr size_t kRouterLossCount = 9;
/// importance, load, balance, z, token_entropy, marginal_entropy, policy, baseline, l1.
std::span<const RouterLossRow, kRouterLossCount> router_loss_rows();

/// The coefficient of each row; 0: not computed.
struct RouterLossOptions {
  std::array<double, kRouterLossCount> coefficients{};

  bool any() const;
  bool operator==(const RouterLossOptions&) const = default;
};
void describe(OptionTable& table, RouterLossOptions& options);

/// The coefficients that `row` is trained with by default.
RouterLossOptions default_router_losses(const RouterRow& row);

/// The losses of one layer.
struct RouterLosses {
  torch::Tensor total;                          ///< [], weighted sum; undefined if none applies
  std::map<std::string, torch::Tensor> values;  ///< by name, [], without coefficient or gradient
};
/// All losses with a coefficient other than 0 that apply to `scores`.
RouterLosses router_losses(const RouterLossOptions& options, const RoutingScores& scores,
                           const torch::Tensor& image_losses);

}  // namespace softmoe
