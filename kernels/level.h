#pragma once
/// Which kernels this process runs. A level is what the kernels of one folder need of a processor.
///
/// The level is chosen once: the highest one that the processor runs and the build contains, unless
/// the environment variable SOFTMOE_ISA names a lower one ("portable"). Callers ask has() for what
/// they need, never for a level by its name.

#include <string_view>
#include <vector>

#include "core/enum_names.h"

namespace softmoe::kernels {

/// From the lowest to the highest.
enum class Level {
  kPortable,    ///< any processor: no kernels of its own, libtorch's operators do the work
  kAvx512Bf16,  ///< kernels/avx512: AVX-512 F, BW, VL, DQ and BF16
};

/// What a caller needs the kernels to compute in.
enum class Need {
  kFp32,          ///< everything whose values and products are fp32
  kBf16Products,  ///< sums in fp32 of products of bf16 values
  kInt8Products,  ///< exact sums of products of 8-bit integers (VNNI)
};

/// The highest level that this processor runs and the build contains.
Level highest_level();
/// All levels up to it, from the lowest.
std::vector<Level> present_levels();

/// The level that `wanted`, the value of SOFTMOE_ISA, leaves of `highest`: `highest` itself if it
/// is empty. Throws UsageError that names the variable, the levels up to `highest` and `wanted`.
Level allowed_level(std::string_view wanted, Level highest);

/// The level in use. Throws UsageError for a bad SOFTMOE_ISA.
Level level();
/// Returns true if the kernels of the level in use compute what is needed.
bool has(Need need);

/// Lowers the level of the whole process for the life of the object: for tests and benchmarks.
/// Throws c10::ValueError for a level above highest_level().
class ScopedLevel {
 public:
  explicit ScopedLevel(Level level);
  ~ScopedLevel();
  ScopedLevel(const ScopedLevel&) = delete;
  ScopedLevel& operator=(const ScopedLevel&) = delete;

 private:
  Level previous_;
};

}  // namespace softmoe::kernels

namespace softmoe {

template <>
inline constexpr std::array<EnumName<kernels::Level>, 2> kEnumNames<kernels::Level>{
    {{kernels::Level::kPortable, "portable"}, {kernels::Level::kAvx512Bf16, "avx512_bf16"}}};

}  // namespace softmoe
