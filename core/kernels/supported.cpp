#include "core/kernels/types.h"

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

}  // namespace softmoe::kernels
