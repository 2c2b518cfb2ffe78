#include "checkpoints/convert/transposed.h"

#include <ATen/Parallel.h>

namespace softmoe {

torch::Tensor transposed(const torch::Tensor& matrices) {
  if (matrices.dim() != 3) {
    return matrices.transpose(-2, -1).contiguous();  // [columns, rows]
  }
  const torch::NoGradGuard no_grad;
  const auto source = matrices.detach().contiguous().transpose(-2, -1);
  const auto target = torch::empty(source.sizes(), source.options());  // [count, columns, rows]
  at::parallel_for(0, source.size(0), /*grain_size=*/1, [&](int64_t first, int64_t last) {
    const torch::NoGradGuard no_grad_here;
    for (int64_t index = first; index < last; ++index) {
      target[index].copy_(source[index]);
    }
  });
  return target;
}

}  // namespace softmoe
