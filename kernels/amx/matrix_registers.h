#pragma once
/// AMX: eight registers of 16 rows of 64 bytes each, and the products of two of them that are added
/// to a third one (Intel, Architecture Instruction Set Extensions Programming Reference, chapter
/// 3). Internal linkage, as kernels/avx512/vector.h.

#include <cstdint>

#include "core/precision.h"
#include "kernels/types.h"

namespace softmoe::kernels {
namespace {

/// Rows of a register, and units of its row.
inline constexpr int64_t kMatrixRows = 16;
inline constexpr int64_t kMatrixUnits = 16;

/// Loads 16 rows, `stride` units apart.
template <int kRegister>
inline void load_matrix(const void* from, int64_t stride) {
  asm volatile("tileloadd (%0,%1,4), %%tmm%c2"
               :
               : "r"(from), "r"(stride), "i"(kRegister)
               : "memory");
}
/// Stores 16 rows, `stride` units apart.
template <int kRegister>
inline void store_matrix(void* to, int64_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,4)"
               :
               : "r"(to), "r"(stride), "i"(kRegister)
               : "memory");
}
template <int kRegister>
inline void zero_matrix() {
  asm volatile("tilezero %%tmm%c0" : : "i"(kRegister));
}
/// sum += left [rows, units] right [units, columns] of bf16 with fp32 sums, or of unsigned by
/// signed bytes with sums of 32-bit integers.
template <Precision kPrecision, int kSum, int kLeft, int kRight>
inline void multiply_matrices() {
  if constexpr (kPrecision == Precision::kBFloat16) {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kLeft), "i"(kRight));
  } else {
    asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kLeft), "i"(kRight));
  }
}

/// Makes the registers usable on the calling thread during its life: all of 16 rows, but registers
/// 0 to 5, sums and left factors, of `rows` rows if these are fewer.
class MatrixRegisters {
 public:
  explicit MatrixRegisters(int64_t rows) {
    Configuration configuration;
    for (int index = 0; index < 8; ++index) {
      configuration.row_bytes[index] = 64;
      configuration.rows[index] =
          static_cast<uint8_t>(index < 6 && rows < kMatrixRows ? rows : kMatrixRows);
    }
    // gcc 12 does not know that its _tile_loadconfig() reads all of it.
    asm volatile("ldtilecfg %0" : : "m"(configuration));
  }
  ~MatrixRegisters() { asm volatile("tilerelease"); }
  MatrixRegisters(const MatrixRegisters&) = delete;
  MatrixRegisters& operator=(const MatrixRegisters&) = delete;

 private:
  struct alignas(64) Configuration {
    uint8_t palette = 1;
    uint8_t first_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
  };
};

}  // namespace
}  // namespace softmoe::kernels
