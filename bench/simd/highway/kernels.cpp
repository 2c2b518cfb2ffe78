// Compiled once; highway includes this file again for each of its targets.

// SVE's vectors have no size, so they cannot be members of the arrays that hold a tile. The two
// targets between SSE2 and AVX2 are left out, as no level of ours lies there.
#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_SSE4 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/simd/highway/kernels.cpp"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include "bench/simd/highway/attention-inl.h"
#include "bench/simd/highway_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace softmoe::simd::HWY_NAMESPACE {

#if HWY_CAP_GE512
constexpr int kNarrowRows = 8, kNarrowVectors = 2, kWideRows = 8, kWideVectors = 2;
#elif HWY_CAP_GE256
constexpr int kNarrowRows = 6, kNarrowVectors = 2, kWideRows = 3, kWideVectors = 4;
#elif HWY_TARGET == HWY_NEON  // a sixth row of sums would spill
constexpr int kNarrowRows = 5, kNarrowVectors = 4, kWideRows = 5, kWideVectors = 4;
#else
constexpr int kNarrowRows = 6, kNarrowVectors = 2, kWideRows = 6, kWideVectors = 2;
#endif

Kernels table() {
  return {hwy::TargetName(HWY_TARGET),
          {kNarrowRows, kNarrowVectors * kLanes, multiply<kNarrowRows, kNarrowVectors>},
          {kWideRows, kWideVectors * kLanes, multiply<kWideRows, kWideVectors>},
          attention<kWideRows, kWideVectors>};
}

}  // namespace softmoe::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace softmoe::simd {

#if HWY_TARGETS == HWY_STATIC_TARGET  // nothing to choose from, and no need of the library

std::vector<Kernels> highway_kernels() { return {HWY_STATIC_DISPATCH(table)()}; }

#else

HWY_EXPORT(table);

std::vector<Kernels> highway_kernels() {
  std::vector<Kernels> tables;
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    tables.push_back(HWY_DYNAMIC_DISPATCH(table)());
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  return tables;
}

#endif

}  // namespace softmoe::simd
#endif
