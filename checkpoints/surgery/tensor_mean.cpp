#include "checkpoints/surgery/tensor_mean.h"

#include <torch/types.h>

namespace softmoe {

void TensorMean::add(const NamedTensors& tensors) {
  if (count_ == 0) {
    first_ = tensors;
  }
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.is_floating_point()) {
      continue;
    }
    auto& sum = sums_[name];
    // Not in place: copies of this object share their tensors.
    sum = sum.defined() ? sum + tensor : tensor.to(torch::kFloat64);
  }
  ++count_;
}

NamedTensors TensorMean::mean() const {
  TORCH_CHECK_VALUE(count_ > 0, "TensorMean: expected tensors, found none");
  NamedTensors result;
  for (const auto& [name, tensor] : first_) {
    const auto sum = sums_.find(name);
    result[name] = sum == sums_.end()
                       ? tensor
                       : sum->second.div(static_cast<double>(count_)).to(tensor.scalar_type());
  }
  return result;
}

}  // namespace softmoe
