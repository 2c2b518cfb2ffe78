#include "bench/simd/own_kernels.h"

namespace softmoe::simd {

// Each is defined by own/kernels.cpp, compiled for that level.
namespace portable {
extern const Kernels kKernels;
extern const FmaLoop kFmaLoop;
}  // namespace portable
namespace avx2 {
extern const Kernels kKernels;
extern const FmaLoop kFmaLoop;
}  // namespace avx2
namespace avx512 {
extern const Kernels kKernels;
extern const FmaLoop kFmaLoop;
}  // namespace avx512

std::vector<OwnLevel> own_levels() {
  std::vector<OwnLevel> levels;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
    levels.push_back({&avx512::kKernels, &avx512::kFmaLoop});
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    levels.push_back({&avx2::kKernels, &avx2::kFmaLoop});
  }
#endif
  levels.push_back({&portable::kKernels, &portable::kFmaLoop});
  return levels;
}

}  // namespace softmoe::simd
