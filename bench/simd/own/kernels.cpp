// Compiled once per level, with SOFTMOE_LEVEL naming it and the flags of the level.

#include "bench/simd/own/attention.h"
#include "bench/simd/own/peak.h"

#define SOFTMOE_TEXT(name) #name
#define SOFTMOE_NAME(name) SOFTMOE_TEXT(name)

namespace softmoe::simd::SOFTMOE_LEVEL {
namespace {

#if defined(__AVX512F__)
constexpr int kNarrowRows = 8, kNarrowVectors = 2, kWideRows = 8, kWideVectors = 2;
#elif defined(__AVX2__)
constexpr int kNarrowRows = 6, kNarrowVectors = 2, kWideRows = 3, kWideVectors = 4;
#elif defined(__aarch64__)  // a sixth row of sums would spill
constexpr int kNarrowRows = 5, kNarrowVectors = 4, kWideRows = 5, kWideVectors = 4;
#else
constexpr int kNarrowRows = 6, kNarrowVectors = 2, kWideRows = 6, kWideVectors = 2;
#endif

}  // namespace

extern const Kernels kKernels{
    SOFTMOE_NAME(SOFTMOE_LEVEL),
    {kNarrowRows, kNarrowVectors* kLanes, multiply<kNarrowRows, kNarrowVectors>},
    {kWideRows, kWideVectors* kLanes, multiply<kWideRows, kWideVectors>},
    attention<kWideRows, kWideVectors>};
extern const FmaLoop kFmaLoop{run_fma_loop, 2 * kChains* kLanes};

}  // namespace softmoe::simd::SOFTMOE_LEVEL
