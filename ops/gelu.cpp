#include "ops/gelu.h"

namespace softmoe {

torch::Tensor apply_gelu(const torch::Tensor& x, Gelu gelu) {
  if (gelu == Gelu::kQuick) {
    return x * torch::sigmoid(1.702 * x);
  }
  return torch::gelu(x, gelu == Gelu::kTanh ? "tanh" : "none");
}

}  // namespace softmoe
