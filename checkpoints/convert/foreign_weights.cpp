#include "checkpoints/convert/foreign_weights.h"

#include <fmt/format.h>

#include "checkpoints/convert/family_weights.h"
#include "core/error.h"

namespace softmoe {

const torch::Tensor& ForeignWeights::tensor(const std::string& name, int64_t axes) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    throw InputError(where_, "tensor " + name_with_family(family_, name), "none");
  }
  if (found->second.dim() != axes) {
    throw InputError(place(name), fmt::format("{} axes", axes),
                     fmt::format("{}", found->second.dim()));
  }
  if (found->second.numel() == 0) {
    throw InputError(place(name), "values", "none");
  }
  return found->second;
}

std::string ForeignWeights::place(const std::string& name) const {
  return where_ + ": " + name_with_family(family_, name);
}

}  // namespace softmoe
