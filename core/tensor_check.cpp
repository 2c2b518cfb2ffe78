#include "core/tensor_check.h"

namespace softmoe {

void check_shape(std::string_view what, const torch::Tensor& tensor,
                 std::initializer_list<int64_t> shape) {
  bool fits = tensor.dim() == static_cast<int64_t>(shape.size());
  int64_t axis = 0;
  for (const int64_t size : shape) {
    fits = fits && (size == -1 || tensor.size(axis) == size);
    ++axis;
  }
  if (fits) {
    return;
  }
  std::string expected;
  for (const int64_t size : shape) {
    expected += (expected.empty() ? "" : ", ") + (size == -1 ? "any" : std::to_string(size));
  }
  TORCH_CHECK_VALUE(false, what, ": expected shape [", expected, "], found ", tensor.sizes());
}

}  // namespace softmoe
