#include "inference/packed/merging_pass.h"

#include <algorithm>

#include "inference/packed/portion.h"
#include "kernels/table.h"

namespace softmoe {
namespace {

/// Sequences whose MLPs are merged while the panels of the experts are in the caches.
constexpr int64_t kMaxMerged = 8;

}  // namespace

float* MergingPass::take_scratch(Arena& arena) const {
  int64_t experts = 0;
  for (const auto& block : layers_.blocks) {
    experts = std::max(experts, block.router.merges ? block.mlp.fc1.experts() : 0);
  }
  return experts > 0 ? arena.take<float>(experts * kernels::kPanelColumns) : nullptr;
}

void MergingPass::take(const PackedBlock& block, const torch::Tensor& weights) {
  weights_ = weights.to(torch::kCPU, torch::kFloat32).contiguous();  // [sequences, experts]
  const int64_t merged = std::min(kMaxMerged, weights_.size(0));
  if (!merged_.fc1.defined() || merged_.fc1.experts() < merged) {
    merged_.fc1 = PackedWeights::unfilled(block.mlp.fc1, merged);
    merged_.fc2 = PackedWeights::unfilled(block.mlp.fc2, merged);
  }
}

void MergingPass::run(const PackedBlock& block, const ThreadTeam& team,
                      const SequenceRows& sequences, const float* normed, float* x,
                      const ValueRows& rows, const MlpScratch& scratch, float* factors) {
  const int64_t count = weights_.size(0);
  for (int64_t first = 0; first < count; first += kMaxMerged) {
    const IndexRange merged{first, std::min(first + kMaxMerged, count)};
    merge(block, team, merged, factors);
    team.barrier();
    run_merged(team, sequences, merged, normed, x, rows, scratch);
    team.barrier();
  }
}

/// This thread's share of the panels of the MLPs of the sequences `merged`.
void MergingPass::merge(const PackedBlock& block, const ThreadTeam& team, const IndexRange& merged,
                        float* factors) {
  const int64_t hidden_panels = kernels::panels_of(block.mlp.fc1.columns());
  const int64_t panels = hidden_panels + kernels::panels_of(block.mlp.fc2.columns());
  const auto share = team.share(panels);
  for (int64_t panel = share.first; panel < share.last; ++panel) {
    const bool is_second = panel >= hidden_panels;
    const auto& source = is_second ? block.mlp.fc2 : block.mlp.fc1;
    auto& target = is_second ? merged_.fc2 : merged_.fc1;
    for (int64_t sequence = merged.first; sequence < merged.last; ++sequence) {
      const float* const weights =
          weights_.const_data_ptr<float>() + sequence * block.mlp.fc1.experts();
      target.merge_panel(source, weights, sequence - merged.first,
                         is_second ? panel - hidden_panels : panel, factors);
    }
  }
}

/// This thread's share of the tokens of the sequences `merged`.
void MergingPass::run_merged(const ThreadTeam& team, const SequenceRows& sequences,
                             const IndexRange& merged, const float* normed, float* x,
                             const ValueRows& rows, const MlpScratch& scratch) {
  const int64_t begin = sequences.first_row(merged.first);
  const auto share = team.share(sequences.first_row(merged.last) - begin);
  for_each_sequence(sequences, {begin + share.first, begin + share.last},
                    [&](int64_t sequence, int64_t at, int64_t last) {
                      for_each_block({at, last}, block_rows_, [&](int64_t first, int64_t count) {
                        const int64_t offset = first * dim();
                        multiply_mlp(
                            merged_, sequence - merged.first, layers_.activation,
                            inputs(normed + offset, count, rows),
                            {.out = {.fp32 = x + offset}, .out_stride = dim(), .accumulate = true},
                            scratch, /*next=*/nullptr);
                      });
                    });
}

/// `count` rows of `normed` as values that pass between products, in `rows`.
ValueRows MergingPass::inputs(const float* normed, int64_t count, const ValueRows& rows) const {
  for (int64_t row = 0; row < count; ++row) {
    kernels::table().copy_row({.fp32 = normed + row * dim()}, dim(), rows.part(row, 1).values);
  }
  return rows.part(0, count);
}

}  // namespace softmoe
