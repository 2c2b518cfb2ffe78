#pragma once
/// Which kernels this process runs. A level is a set of instructions that kernels are compiled for.
///
/// The level is chosen once: the highest one that the processor runs and the build contains, unless
/// the environment variable SOFTMOE_ISA names another one of those ("portable"). Callers ask has()
/// for what they need, never for a level by its name.

#include <string_view>
#include <vector>

#include "core/enum_names.h"
#include "core/precision.h"

namespace softmoe::kernels {

/// From the lowest to the highest.
enum class Level {
  kPortable,    ///< any processor
  kAvx2,        ///< AVX2 and FMA
  kAvx2Vnni,    ///< and VNNI for vectors of 256 bits
  kAvx512,      ///< AVX-512 F, BW, VL and DQ
  kAvx512Vnni,  ///< and VNNI
  kAvx512Bf16,  ///< and BF16
  kAmx,         ///< and AMX with bf16 and 8-bit products
};

/// What a caller needs the kernels to do.
enum class Need {
  kFp32,          ///< compute in fp32 faster than libtorch's operators
  kBf16,          ///< read and write bf16 faster than libtorch's operators
  kBf16Products,  ///< multiply bf16 as such, faster than fp32
};

/// The levels that this processor runs and the build contains, from the lowest.
const std::vector<Level>& present_levels();
/// The last of them.
Level highest_level();

/// The level that `wanted`, the value of SOFTMOE_ISA, chooses among `present`: the last one if it
/// is empty. Throws UsageError that names the variable, the present levels and `wanted`.
Level chosen_level(std::string_view wanted, const std::vector<Level>& present);

/// The level in use. Throws UsageError for a bad SOFTMOE_ISA.
Level level();
/// Returns true if the kernels of the level in use do what is needed.
bool has(Need need);
/// The need of a caller whose values are fp32 or bf16.
inline Need need_of(Precision precision) {
  return precision == Precision::kBFloat16 ? Need::kBf16 : Need::kFp32;
}

/// Changes the level of the whole process for the life of the object: for tests and benchmarks.
/// Throws c10::ValueError for a level that is not present.
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
inline constexpr std::array<EnumName<kernels::Level>, 7> kEnumNames<kernels::Level>{
    {{kernels::Level::kPortable, "portable"},
     {kernels::Level::kAvx2, "avx2"},
     {kernels::Level::kAvx2Vnni, "avx2_vnni"},
     {kernels::Level::kAvx512, "avx512"},
     {kernels::Level::kAvx512Vnni, "avx512_vnni"},
     {kernels::Level::kAvx512Bf16, "avx512_bf16"},
     {kernels::Level::kAmx, "amx"}}};

}  // namespace softmoe
