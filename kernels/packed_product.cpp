#include "kernels/packed_product.h"

#include "kernels/level.h"

namespace softmoe::kernels {

bool supported(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::kFloat32:
      return has(Need::kFp32);
    case Arithmetic::kBFloat16:
      return has(Need::kBf16Products);
    default:
      return has(Need::kInt8Products);
  }
}

}  // namespace softmoe::kernels
