#pragma once
/// Soft MoE layers and their ablations in the packed forward pass (Puigcerver et al.,
/// arXiv:2308.00951, algorithm 1 and section 3.5).
///
/// Logits are cosines times a scale, so that their powers can be added without taking off a maximum
/// first. One matrix of powers serves both softmaxes, over tokens and over slots, which differ in
/// the sum that divides it, unless combine has another scale or another map of logits to weights.

#include "inference/packed/packed_linear.h"
#include "inference/packed/portion.h"

namespace softmoe {

/// Runs the layers of a model that mix tokens one after the other, each by the four steps below in
/// their order, with a barrier of the team before and after run_experts().
class MixingPass {
 public:
  /// Memory of one thread.
  struct Scratch {
    float* normed = nullptr;          // [block rows, dim]
    float* logits = nullptr;          // [block rows, slots]
    float* norms = nullptr;           // [block rows]: inverse norms of tokens
    kernels::Unit* powers = nullptr;  // [units of tokens, 32]
    ValueRows slots{};                // [32, dim]
    float* sums = nullptr;            // [32]: inverse sums of powers over tokens
    int64_t* index = nullptr;         // [tokens or slots]: rows that are averaged
    float* mean = nullptr;            // [dim]: their average
    float* sorted = nullptr;          // [slots], for entmax
  };

  /// `layers` must outlive the object; `block_rows` tokens are multiplied at a time.
  MixingPass(const PackedLayers& layers, int64_t block_rows);

  /// Rows of `sequences` sequences that go through the MLP of an expert at a time; 0 if no layer
  /// mixes tokens.
  int64_t expert_rows(int64_t sequences) const;

  /// Takes the memory that threads share for `batch`, which must outlive its runs. `x` [rows, dim]
  /// are the tokens that layers add to, `normed` [rows, dim] is memory for their normed values.
  void take_memory(Arena& arena, const DividedSequences& batch, float* x, const ValueRows& normed);
  Scratch take_scratch(Arena& arena) const;

  /// 1: the second norm of tokens [row, row + count), and the powers of their logits.
  void weigh_slots(const PackedBlock& block, int64_t row, int64_t count, const Scratch& scratch);
  /// 2: the inputs of experts, averages of the tokens of a sequence.
  void fill_slots(const PackedMixing& mixing, const Portion& portion, const Scratch& scratch);
  /// 3: each expert's rows through its MLP, in place.
  void run_experts(const PackedBlock& block, const ThreadTeam& team, const MlpScratch& scratch);
  /// 4: adds to each token its average of the slots of its sequence.
  void combine_slots(const PackedMixing& mixing, const Portion& portion, const Scratch& scratch);

 private:
  void weigh_outputs(const PackedMixing& mixing, int64_t row, int64_t count,
                     const Scratch& scratch);
  void pack_tokens(const Portion& portion);
  kernels::LeftUnits transposed(const ValueRows& powers, int64_t slots,
                                kernels::Unit* packed) const;
  void average_tokens(const PackedMixing& mixing, const Portion& portion, const Scratch& scratch);
  void spread_mean(const PackedMixing& mixing, const Portion& portion, const Scratch& scratch);
  void pack_slots(const PackedMixing& mixing, const Portion& portion);
  void add_slots(const PackedMixing& mixing, const Portion& portion);
  void add_mean(const PackedMixing& mixing, const Portion& portion, const Scratch& scratch);
  void average(const ValueRows& rows, int64_t count, const Scratch& scratch) const;

  int64_t dim() const { return layers_.options.dim; }
  const SequenceRows& sequences() const { return batch_->sequences(); }
  int64_t units_of(int64_t depth) const { return kernels::units_of(layers_.values, depth); }
  /// The part of a sequence in packed_tokens_ or packed_slots_, panels of up to `units` units.
  kernels::Unit* panels_of_sequence(kernels::Unit* all, const Portion& portion, int64_t sequence,
                                    int64_t units) const;
  /// The units of tokens that any sequence of the batch has.
  int64_t max_token_units() const { return units_of(sequences().max_tokens()); }
  /// The row of a slot among those of all experts.
  int64_t slot_row(const PackedMixing& mixing, int64_t sequence, int64_t slot) const;

  const PackedLayers& layers_;
  int64_t block_rows_;
  int64_t max_slots_ = 0;  // of any block
  int64_t max_slots_per_expert_ = 0;
  bool needs_shares_ = false;  // any block has weights of combine of its own

  const DividedSequences* batch_ = nullptr;
  float* x_ = nullptr;                      // [rows, dim]
  ValueRows normed_{};                      // [rows, dim]
  ValueRows powers_{};                      // [rows, slots]
  ValueRows shares_{};                      // [rows, slots]: weights of combine, if not powers_
  float* inverse_sums_ = nullptr;           // [rows]: of the weights of combine over slots
  kernels::Unit* packed_tokens_ = nullptr;  // [places, panels of dim, max units of tokens, 32]
  kernels::Unit* packed_slots_ = nullptr;   // [places, panels of dim, units of slots, 32]
  ValueRows expert_rows_{};                 // [experts * sequences * slots per expert, dim]
};

}  // namespace softmoe
