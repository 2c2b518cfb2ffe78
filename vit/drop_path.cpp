#include "vit/drop_path.h"

#include <vector>

#include "ops/batch_rows.h"

namespace softmoe {

torch::Tensor drop_path(const torch::Tensor& x, double rate, bool training) {
  if (!training || rate <= 0) {
    return x;
  }
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[0] = x.size(0);
  const double keep = 1.0 - rate;
  const auto mask = draw_rows(shape, [&](torch::IntArrayRef sizes) {
    return torch::empty(sizes, x.options()).bernoulli_(keep).div_(keep);
  });  // [batch, 1 ...]
  return x * mask;
}

}  // namespace softmoe
