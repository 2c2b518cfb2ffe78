#pragma once

namespace softmoe::simd {

/// Prints GFLOP/s of AVX2 products whose right factor lies in panels 32 and 16 columns wide. Throws
/// std::runtime_error if the processor has no AVX2.
void compare_layouts(int rounds, double seconds);

}  // namespace softmoe::simd
