#include "kernels/gemm.h"

namespace softmoe::kernels {

Upcoming upcoming(Source matrix, int64_t stride, int64_t rows, int64_t columns) {
  const int64_t size = matrix.bf16 != nullptr ? sizeof(Bf16) : sizeof(float);
  const auto* const data = matrix.bf16 != nullptr ? reinterpret_cast<const char*>(matrix.bf16)
                                                  : reinterpret_cast<const char*>(matrix.fp32);
  constexpr int64_t kLine = 64;
  if (stride == columns) {
    return {.data = data, .stride = kLine, .rows = rows * columns * size / kLine, .lines = 1};
  }
  return {.data = data, .stride = stride * size, .rows = rows, .lines = columns * size / kLine};
}

}  // namespace softmoe::kernels
