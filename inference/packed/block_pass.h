#pragma once
/// The blocks of packed layers: what images and texts have in common.

#include <c10/util/FunctionRef.h>

#include <cstdint>
#include <vector>

#include "inference/packed/merging_pass.h"
#include "inference/packed/mixing_pass.h"
#include "inference/packed/packed_linear.h"
#include "inference/packed/portion.h"
#include "inference/packed/sparse_pass.h"
#include "runtime/arena.h"

namespace softmoe {

/// Runs blocks on a CPU, on one team of threads until a router has to decide, which takes operators
/// of libtorch; then on the next team. The pass's memory is kept from call to call and grows with
/// the largest batch; calls must not overlap.
class BlockPass {
 public:
  /// One end of the pass, which all threads of a team run together, with the residual stream `x`
  /// [rows, dim].
  using Step = c10::function_ref<void(const ThreadTeam& team, float* x)>;

  /// `layers` must outlive the object.
  explicit BlockPass(const PackedLayers& layers);
  BlockPass(const BlockPass&) = delete;
  BlockPass& operator=(const BlockPass&) = delete;

  /// Rows that go through linear maps at a time.
  int64_t block_rows() const { return block_rows_; }

  /// Calls `start`, which fills `x`, all blocks, and `finish`, which reads it, for tokens that lie
  /// as `sequences` say; `context` is for routers. Neither step needs a barrier for rows of other
  /// threads at its ends.
  void run(const SequenceRows& sequences, const TokenContext& context, const Step& start,
           const Step& finish);

 private:
  /// Memory of one thread.
  struct ThreadMemory {
    ValueRows normed{};  // [block rows, dim]
    IntegerScratch integers{};
    kernels::Unit* attention = nullptr;
    MlpScratch mlp{};
    MixingPass::Scratch mixing{};
    float* merging = nullptr;
  };

  void reserve(const SequenceRows& sequences, int64_t threads);
  ThreadMemory take_thread_memory(Arena& arena) const;
  const ThreadMemory& memory_of(const ThreadTeam& team) const {
    return thread_memory_[static_cast<size_t>(team.rank)];
  }
  const SequenceRows& sequences() const { return batch_.sequences(); }
  int64_t dim() const { return layers_.options.dim; }

  void run_block(const ThreadTeam& team, const PackedBlock& block);
  void decide(const PackedBlock& block, const TokenContext& context);
  void run_decided(const ThreadTeam& team, const PackedBlock& block);
  void project_queries(const PackedBlock& block, const Portion& portion,
                       const ThreadMemory& memory);
  void attend(const PackedBlock& block, const Portion& portion, const ThreadMemory& memory);
  void finish_rows(const PackedBlock& block, const Portion& portion, const ThreadMemory& memory);

  const PackedLayers& layers_;
  kernels::PackedAttention attention_{};
  int64_t block_rows_;
  MixingPass mixing_;
  SparsePass sparse_;
  MergingPass merging_;

  Arena arena_;
  DividedSequences batch_;
  bool has_memory_ = false;
  float* x_ = nullptr;       // [rows, dim]: the residual stream
  ValueRows qkv_{};          // [row places, 3 dim]
  ValueRows mixed_{};        // [rows, dim]: outputs of attention, and then normed inputs of experts
  float* normed_ = nullptr;  // [rows, dim]: inputs of routers that decide, and of their experts
  std::vector<ThreadMemory> thread_memory_;
};

}  // namespace softmoe
