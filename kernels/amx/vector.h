#pragma once
/// Vectors of AVX-512 with BF16 and VNNI, and AMX's matrix registers for products of bf16 and of
/// 8-bit integers. Internal linkage, as kernels/avx512/vector.h.

#include "kernels/amx/matrix_registers.h"
#include "kernels/avx512/vector.h"

#define SOFTMOE_MATRIX_PRODUCTS
