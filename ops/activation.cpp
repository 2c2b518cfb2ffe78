#include "ops/activation.h"

namespace softmoe {

torch::Tensor activate(const torch::Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::kGeluTanh:
      return torch::gelu(x, "tanh");
    case Activation::kGeluExact:
      return torch::gelu(x, "none");
    case Activation::kGeluQuick:
      return x * torch::sigmoid(1.702 * x);
    case Activation::kSwiGlu: {
      const auto parts = x.chunk(2, -1);        // [..., channels / 2] each
      return torch::silu(parts[0]) * parts[1];  // [..., channels / 2]
    }
    default:
      return x;
  }
}

}  // namespace softmoe
