#pragma once
/// 1.5-entmax of one row of plain memory.

#include <cstdint>

namespace softmoe {

/// Replaces the logits `values` [count] by their 1.5-entmax (ops/entmax.h). `sorted` [count] is
/// scratch memory.
void entmax15_row(float* values, int64_t count, float* sorted);

}  // namespace softmoe
