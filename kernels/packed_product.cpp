#include "kernels/packed_product.h"

#include "kernels/level.h"

namespace softmoe::kernels {

bool supported(Precision precision) {
  switch (precision) {
    case Precision::kFloat32:
      return has(Need::kFp32);
    case Precision::kBFloat16:
      return has(Need::kBf16Products);
    default:
      return has(Need::kInt8Products);
  }
}

}  // namespace softmoe::kernels
