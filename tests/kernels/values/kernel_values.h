#pragma once
/// Runs every kernel of a table on inputs that are the same on every machine, so that levels and
/// machines can be compared value by value. Without libtorch and GoogleTest, so that it is built
/// for other processors, too. Sizes are pairwise distinct within a call.

#include "kernels/table.h"
#include "kernels/values/results.h"

namespace softmoe::kernels::values {

/// The results of all kernels, each at least once. Throws std::logic_error if one is missing.
Results all_values(const KernelTable& table);

/// What pack_left_transposed() has packed, in tiles of 8 columns, however the level lays it out:
/// [columns / 8, units, 8].
std::vector<Unit> left_in_tiles(const KernelTable& table, Precision precision,
                                const std::vector<Unit>& packed, int64_t units);

// The parts of all_values().
void add_gemm_values(const KernelTable& table, Results& results);
void add_pack_values(const KernelTable& table, Results& results);
void add_attention_values(const KernelTable& table, Results& results);
void add_row_values(const KernelTable& table, Results& results);
void add_soft_mixing_values(const KernelTable& table, Results& results);
void add_update_values(const KernelTable& table, Results& results);
void add_factor_values(const KernelTable& table, Results& results);
void add_product_values(const KernelTable& table, Results& results);
void add_panel_merging_values(const KernelTable& table, Results& results);

}  // namespace softmoe::kernels::values
