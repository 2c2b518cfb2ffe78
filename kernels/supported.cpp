#include "kernels/packed_product.h"
#include "kernels/types.h"

namespace softmoe::kernels {

bool supported() {
#ifdef SOFTMOE_WITH_AVX512
  static const bool present =
      __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
      __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
      __builtin_cpu_supports("avx512bf16") != 0;
  return present;
#else
  return false;
#endif
}

bool supported(Precision precision) {
#ifdef SOFTMOE_WITH_AVX512
  static const bool has_integers = __builtin_cpu_supports("avx512vnni") != 0;
  return supported() && (precision != Precision::kInt8 || has_integers);
#else
  static_cast<void>(precision);
  return false;
#endif
}

}  // namespace softmoe::kernels
