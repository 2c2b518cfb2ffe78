#include "softmoe/mixing_state.h"

#include <cmath>

namespace softmoe {

std::map<std::string, torch::Tensor> MixingState::values() const {
  std::map<std::string, torch::Tensor> values;
  for (const auto& [name, member] : kMixingFields) {
    if ((this->*member).defined()) {
      values[name] = this->*member;
    }
  }
  return values;
}

torch::Tensor relative_entropy(const torch::Tensor& weights, int64_t dim) {
  const auto count = weights.size(dim);
  if (count == 1) {
    return torch::ones({}, weights.options());
  }
  const auto entropy = -(weights * weights.clamp_min(1e-30).log()).sum(dim).mean();  // []
  return entropy / std::log(static_cast<double>(count));
}

torch::Tensor slot_similarity(const torch::Tensor& rows, int64_t batch) {
  const int64_t experts = rows.size(0);
  const int64_t dim = rows.size(2);
  const auto slots = rows.to(torch::kFloat32)
                         .reshape({experts, batch, -1, dim})
                         .transpose(0, 1)
                         .reshape({batch, -1, dim});  // [batch, slots, dim]
  const auto units = slots / slots.norm(2, /*dim=*/-1, /*keepdim=*/true).clamp_min(1e-12);
  const auto count = static_cast<double>(units.size(1));
  if (units.size(1) == 1) {
    return torch::ones({}, units.options());
  }
  // The cosines of all pairs sum to the square of the sum of all unit vectors.
  const auto pairs = units.sum(1).square().sum(-1) - count;  // [batch]
  return (pairs / (count * (count - 1.0))).mean();           // []
}

}  // namespace softmoe
