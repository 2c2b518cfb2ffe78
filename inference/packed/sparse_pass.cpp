#include "inference/packed/sparse_pass.h"

#include <algorithm>

#include "kernels/table.h"

namespace softmoe {
namespace {

/// Minimum of rows for which the weights of an expert are read once more to divide work evenly.
constexpr int64_t kMinRows = 14;
/// Blocks per thread that divide the work evenly enough.
constexpr int64_t kBlocksPerThread = 2;

}  // namespace

void SparsePass::take(const SparseRows& rows, int64_t threads) {
  rows_.assign(rows);
  const int64_t even_share = rows_.count() / (kBlocksPerThread * threads);
  rows_.divide(std::clamp(even_share, std::min(kMinRows, block_rows_), block_rows_));
  next_block_ = 0;
  arena_.lay_out(
      [&](Arena& arena) { outputs_ = take_rows(arena, layers_.values, rows_.count(), dim()); });
}

void SparsePass::run(const PackedBlock& block, const ThreadTeam& team, const float* normed,
                     float* x, const ValueRows& rows, const MlpScratch& scratch) {
  const auto count = static_cast<int64_t>(rows_.blocks().size());
  for (int64_t index = next_block_++; index < count; index = next_block_++) {
    // Other threads probably take the blocks in between.
    run_block(block, index, std::min(index + team.size, count - 1), normed, rows, scratch);
  }
  team.barrier();
  add_outputs(team, x);
}

/// Block `index`; the weights of block `next` are fetched meanwhile.
void SparsePass::run_block(const PackedBlock& block, int64_t index, int64_t next,
                           const float* normed, const ValueRows& rows, const MlpScratch& scratch) {
  const auto blocks = rows_.blocks();
  const auto& [expert, first, count] = blocks[static_cast<size_t>(index)];
  const auto inputs = rows.part(0, count);
  for (int64_t row = 0; row < count; ++row) {
    const int64_t token = rows_.tokens()[static_cast<size_t>(first + row)];
    kernels::table().copy_row({.fp32 = normed + token * dim()}, dim(), inputs.part(row, 1).values);
  }
  const auto outputs = outputs_.part(first, count);
  multiply_mlp(block.mlp, expert, layers_.activation, inputs,
               {.out = outputs.values, .out_stride = outputs.stride}, scratch,
               block.mlp.fc1.panels(blocks[static_cast<size_t>(next)].expert, 0, 0).data);
}

void SparsePass::add_outputs(const ThreadTeam& team, float* x) {
  const auto share = team.share(rows_.token_count());
  for (int64_t token = share.first; token < share.last; ++token) {
    const auto rows = rows_.rows_of(token);
    if (!rows.empty()) {
      kernels::table().sum_rows({.rows = outputs_.source(),
                                 .stride = outputs_.stride,
                                 .gate = rows_.gates(),
                                 .index = rows.data(),
                                 .count = static_cast<int64_t>(rows.size()),
                                 .accumulate = true},
                                dim(), {.fp32 = x + token * dim()});
    }
  }
}

}  // namespace softmoe
