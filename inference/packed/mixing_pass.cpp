#include "inference/packed/mixing_pass.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "inference/packed/entmax_row.h"
#include "kernels/table.h"

namespace softmoe {
namespace {

using kernels::Unit;

/// Maximum of rows of one expert that go through its MLP at a time.
constexpr int64_t kMaxExpertRows = 84;

/// The row after the first one of `rows`, or nothing.
kernels::Source second_row(const ValueRows& rows, bool has_second) {
  return has_second ? rows.part(1, 1).source() : kernels::Source{};
}

}  // namespace

MixingPass::MixingPass(const PackedLayers& layers, int64_t block_rows)
    : layers_(layers), block_rows_(block_rows) {
  for (const auto& block : layers.blocks) {
    max_slots_ = std::max(max_slots_, block.mixing.slots());
    max_slots_per_expert_ = std::max(max_slots_per_expert_, block.mixing.slots_per_expert);
    needs_shares_ = needs_shares_ || !block.mixing.shares_powers();
  }
}

int64_t MixingPass::expert_rows(int64_t sequences) const {
  return std::min(kMaxExpertRows, sequences * max_slots_per_expert_);
}

void MixingPass::take_memory(Arena& arena, const DividedSequences& batch, float* x,
                             const ValueRows& normed) {
  batch_ = &batch;
  x_ = x;
  normed_ = normed;
  if (max_slots_ == 0) {
    return;
  }
  const int64_t rows = sequences().rows();
  const int64_t places = batch.places();
  const int64_t panels = kernels::panels_of(dim()) * kernels::kPanelColumns;
  powers_ = take_rows(arena, layers_.values, rows, kernels::round_up(max_slots_, 2));
  if (needs_shares_) {
    shares_ = take_rows(arena, layers_.values, rows, kernels::round_up(max_slots_, 2));
  }
  inverse_sums_ = arena.take<float>(rows);
  packed_tokens_ = arena.take<Unit>(places * panels * max_token_units());
  packed_slots_ = arena.take<Unit>(places * panels * units_of(max_slots_));
  expert_rows_ = take_rows(arena, layers_.values, sequences().count() * max_slots_, dim());
}

MixingPass::Scratch MixingPass::take_scratch(Arena& arena) const {
  if (max_slots_ == 0) {
    return {};
  }
  return {.normed = arena.take<float>(block_rows_ * dim()),
          .logits = arena.take<float>(block_rows_ * kernels::round_up(max_slots_, 32)),
          .norms = arena.take<float>(block_rows_),
          .powers = arena.take<Unit>(max_token_units() * kernels::kPanelColumns),
          .slots = take_rows(arena, layers_.values, kernels::kPanelColumns, dim()),
          .sums = arena.take<float>(kernels::kPanelColumns),
          .index = arena.take<int64_t>(std::max(sequences().max_tokens(), max_slots_)),
          .mean = arena.take<float>(dim()),
          .sorted = needs_shares_ ? arena.take<float>(max_slots_) : nullptr};
}

int64_t MixingPass::slot_row(const PackedMixing& mixing, int64_t sequence, int64_t slot) const {
  const int64_t each = mixing.slots_per_expert;
  return (slot / each * sequences().count() + sequence) * each + slot % each;
}

Unit* MixingPass::panels_of_sequence(Unit* all, const Portion& portion, int64_t sequence,
                                     int64_t units) const {
  return all + portion.place(sequence) * kernels::panels_of(dim()) * units * kernels::kPanelColumns;
}

void MixingPass::weigh_slots(const PackedBlock& block, int64_t row, int64_t count,
                             const Scratch& scratch) {
  const auto& mixing = block.mixing;
  const auto tokens = normed_.part(row, count);
  // Logits are fp32 in every precision.
  float* const normed = scratch.normed;
  kernels::table().norm_rows(block.norm2.rows(), x_ + row * dim(), dim(), count, normed, dim(),
                             tokens.values.bf16, tokens.stride);
  if (tokens.values.fp32 != nullptr) {
    for (int64_t index = 0; index < count; ++index) {
      std::memcpy(tokens.values.fp32 + index * tokens.stride, normed + index * dim(),
                  static_cast<size_t>(dim()) * sizeof(float));
    }
  }
  if (!mixing.keys.defined()) {
    return;
  }
  kernels::table().inverse_norms(normed, dim(), count, dim(), mixing.eps, scratch.norms);
  const int64_t stride = kernels::round_up(mixing.slots(), 32);
  multiply(mixing.keys, {}, Operand{.left = {reinterpret_cast<const Unit*>(normed), dim()}}, count,
           {.out = {.fp32 = scratch.logits}, .out_stride = stride, .row_factors = scratch.norms});
  const auto powers = powers_.part(row, count);
  kernels::table().exponential_rows(scratch.logits, stride, count, mixing.slots(),
                                    kernels::round_up(mixing.slots(), 2), powers.values,
                                    powers.stride, inverse_sums_ + row);
  if (!mixing.shares_powers()) {
    weigh_outputs(mixing, row, count, scratch);
  }
}

/// The weights of slots in tokens [row, row + count) from scratch.logits, which change.
void MixingPass::weigh_outputs(const PackedMixing& mixing, int64_t row, int64_t count,
                               const Scratch& scratch) {
  const int64_t slots = mixing.slots();
  const int64_t stride = kernels::round_up(slots, 32);
  const int64_t width = kernels::round_up(slots, 2);
  const auto shares = shares_.part(row, count);
  for (int64_t index = 0; index < count; ++index) {
    float* const logits = scratch.logits + index * stride;
    std::transform(logits, logits + slots, logits,
                   [by = mixing.combine_ratio](float logit) { return by * logit; });
    if (mixing.combine == CombineWeights::kEntmax15) {
      entmax15_row(logits, slots, scratch.sorted);
      std::fill(logits + slots, logits + width, 0.0F);
      kernels::table().copy_row({.fp32 = logits}, width, shares.part(index, 1).values);
      inverse_sums_[row + index] = 1.0F;
    }
  }
  if (mixing.combine == CombineWeights::kSoftmax) {
    kernels::table().exponential_rows(scratch.logits, stride, count, slots, width, shares.values,
                                      shares.stride, inverse_sums_ + row);
  }
}

void MixingPass::fill_slots(const PackedMixing& mixing, const Portion& portion,
                            const Scratch& scratch) {
  if (!learns_dispatch(mixing.mixing)) {
    spread_mean(mixing, portion, scratch);
    return;
  }
  pack_tokens(portion);
  portion.barrier();
  average_tokens(mixing, portion, scratch);
}

/// Normed tokens as right factors.
void MixingPass::pack_tokens(const Portion& portion) {
  const int64_t each = kernels::values_per_unit(layers_.values);
  const int64_t max_units = max_token_units();
  const auto share = portion.of(max_units);
  for (int64_t index = share.first; index < share.last; ++index) {
    const int64_t sequence = index / max_units;
    const int64_t unit = index % max_units;
    const int64_t token = unit * each;
    const int64_t tokens = sequences().tokens(sequence);
    if (token >= tokens) {
      continue;  // of a text that is shorter than others
    }
    const int64_t units = units_of(tokens);
    const auto rows = normed_.part(sequences().first_row(sequence) + token, 2);
    kernels::table().pack_depth_unit(
        layers_.values, rows.source(), second_row(rows, each == 2 && token + 1 < tokens), dim(),
        panels_of_sequence(packed_tokens_, portion, sequence, max_units) +
            unit * kernels::kPanelColumns,
        units * kernels::kPanelColumns);
  }
}

/// `powers` [tokens, `slots`] as a left factor [slots, tokens], bf16 packed to `packed`.
kernels::LeftUnits MixingPass::transposed(const ValueRows& powers, int64_t slots,
                                          Unit* packed) const {
  if (layers_.values == Precision::kFloat32) {
    return {powers.units(), 1, powers.stride};
  }
  const int64_t tokens = powers.count;
  const int64_t units = units_of(tokens);
  if (kernels::table().bf16_left_tile == 1) {
    kernels::table().pack_left_transposed(layers_.values, powers.source(), powers.stride, tokens, 0,
                                          slots, packed, /*column_sums=*/nullptr);
    return {packed, units};
  }
  for (int64_t unit = 0; unit < units; ++unit) {
    const auto rows = powers.part(unit * 2, 2);
    kernels::table().pack_depth_unit(layers_.values, rows.source(),
                                     second_row(rows, unit * 2 + 1 < tokens), slots,
                                     packed + unit * kernels::kPanelColumns, 0);
  }
  return {packed, 1, kernels::kPanelColumns};
}

/// The rows of experts from packed tokens, 32 slots at a time.
void MixingPass::average_tokens(const PackedMixing& mixing, const Portion& portion,
                                const Scratch& scratch) {
  const int64_t each = kernels::values_per_unit(layers_.values);
  const int64_t panels = kernels::panels_of(mixing.slots());
  const size_t row_bytes = static_cast<size_t>(dim()) * sizeof(Unit) / static_cast<size_t>(each);
  const auto share = portion.of(panels);
  for (int64_t index = share.first; index < share.last; ++index) {
    const int64_t sequence = index / panels;
    const int64_t first = index % panels * kernels::kPanelColumns;
    const int64_t count = std::min(kernels::kPanelColumns, mixing.slots() - first);
    const int64_t tokens = sequences().tokens(sequence);
    const int64_t units = units_of(tokens);
    auto powers = powers_.part(sequences().first_row(sequence), tokens);
    powers.values = powers.values.offset(first);
    kernels::table().inverse_column_sums(powers.source(), powers.stride, tokens, count,
                                         scratch.sums);
    kernels::table().packed_product(
        layers_.values, {count, dim(), units}, transposed(powers, count, scratch.powers),
        {panels_of_sequence(packed_tokens_, portion, sequence, max_token_units()),
         units * kernels::kPanelColumns},
        {.out = scratch.slots.values,
         .out_stride = scratch.slots.stride,
         .row_factors = scratch.sums});
    for (int64_t slot = 0; slot < count; ++slot) {
      const auto target = expert_rows_.part(slot_row(mixing, sequence, first + slot), 1);
      std::memcpy(target.units(), scratch.slots.part(slot, 1).units(), row_bytes);
    }
  }
}

/// The average of the tokens of a sequence as the rows of all its slots.
void MixingPass::spread_mean(const PackedMixing& mixing, const Portion& portion,
                             const Scratch& scratch) {
  const auto share = portion.of(mixing.slots());
  for (int64_t at = share.first; at < share.last;) {
    const int64_t sequence = at / mixing.slots();
    const int64_t tokens = sequences().tokens(sequence);
    const int64_t last = std::min(share.last, (sequence + 1) * mixing.slots());
    std::iota(scratch.index, scratch.index + tokens, 0);
    average(normed_.part(sequences().first_row(sequence), tokens), tokens, scratch);
    for (; at < last; ++at) {
      const auto target = expert_rows_.part(slot_row(mixing, sequence, at % mixing.slots()), 1);
      kernels::table().copy_row({.fp32 = scratch.mean}, dim(), target.values);
    }
  }
}

/// scratch.mean = the average of the `count` rows that scratch.index numbers.
void MixingPass::average(const ValueRows& rows, int64_t count, const Scratch& scratch) const {
  kernels::table().sum_rows(
      {.rows = rows.source(), .stride = rows.stride, .index = scratch.index, .count = count}, dim(),
      {.fp32 = scratch.mean});
  std::transform(scratch.mean, scratch.mean + dim(), scratch.mean,
                 [share = 1.0F / static_cast<float>(count)](float sum) { return share * sum; });
}

void MixingPass::run_experts(const PackedBlock& block, const ThreadTeam& team,
                             const MlpScratch& scratch) {
  const auto& mixing = block.mixing;
  const int64_t rows = sequences().count() * mixing.slots_per_expert;
  // With too few experts to keep the threads busy, threads share each expert's rows.
  const int64_t parts = mixing.experts >= 2 * team.size ? 1 : std::min(team.size, rows);
  const auto share = team.share(mixing.experts * parts);
  for (int64_t index = share.first; index < share.last; ++index) {
    const int64_t expert = index / parts;
    const int64_t part = index % parts;
    const int64_t first = rows * part / parts;
    const int64_t last = rows * (part + 1) / parts;
    const bool has_next = index + 1 < share.last;
    const Unit* const next =
        has_next ? block.mlp.fc1.panels((index + 1) / parts, 0, 0).data : nullptr;
    const int64_t blocks = (last - first + kMaxExpertRows - 1) / kMaxExpertRows;
    for (int64_t at = 0; at < blocks; ++at) {
      const int64_t begin = first + (last - first) * at / blocks;
      const int64_t end = first + (last - first) * (at + 1) / blocks;
      const auto values = expert_rows_.part(expert * rows + begin, end - begin);
      multiply_mlp(block.mlp, expert, layers_.activation, values,
                   {.out = values.values, .out_stride = values.stride}, scratch,
                   at + 1 < blocks ? block.mlp.fc1.panels(expert, 0, 0).data : next);
    }
  }
}

void MixingPass::combine_slots(const PackedMixing& mixing, const Portion& portion,
                               const Scratch& scratch) {
  if (!learns_combine(mixing.mixing)) {
    add_mean(mixing, portion, scratch);
    return;
  }
  pack_slots(mixing, portion);
  portion.barrier();
  add_slots(mixing, portion);
}

/// Outputs of experts as right factors.
void MixingPass::pack_slots(const PackedMixing& mixing, const Portion& portion) {
  const int64_t each = kernels::values_per_unit(layers_.values);
  const int64_t units = units_of(mixing.slots());
  const auto share = portion.of(units);
  for (int64_t index = share.first; index < share.last; ++index) {
    const int64_t sequence = index / units;
    const int64_t unit = index % units;
    const int64_t slot = unit * each;
    const bool has_second = each == 2 && slot + 1 < mixing.slots();
    const auto second =
        has_second ? expert_rows_.part(slot_row(mixing, sequence, slot + 1), 1) : ValueRows{};
    kernels::table().pack_depth_unit(
        layers_.values, expert_rows_.part(slot_row(mixing, sequence, slot), 1).source(),
        second.source(), dim(),
        panels_of_sequence(packed_slots_, portion, sequence, units) + unit * kernels::kPanelColumns,
        units * kernels::kPanelColumns);
  }
}

void MixingPass::add_slots(const PackedMixing& mixing, const Portion& portion) {
  const auto& weights = mixing.shares_powers() ? powers_ : shares_;
  const int64_t units = units_of(mixing.slots());
  for_each_sequence(sequences(), portion.rows(), [&](int64_t sequence, int64_t at, int64_t last) {
    for_each_block({at, last}, block_rows_, [&](int64_t row, int64_t count) {
      const auto shares = weights.part(row, count);
      kernels::table().packed_product(
          layers_.values, {count, dim(), units},
          {shares.units(), shares.stride / kernels::values_per_unit(layers_.values)},
          {panels_of_sequence(packed_slots_, portion, sequence, units),
           units * kernels::kPanelColumns},
          {.out = {.fp32 = x_ + row * dim()},
           .out_stride = dim(),
           .row_factors = inverse_sums_ + row,
           .accumulate = true});
    });
  });
}

/// Adds to the tokens of a sequence the average of the outputs of all its slots.
void MixingPass::add_mean(const PackedMixing& mixing, const Portion& portion,
                          const Scratch& scratch) {
  constexpr int64_t kFirst = 0;
  for_each_sequence(sequences(), portion.rows(), [&](int64_t sequence, int64_t at, int64_t last) {
    for (int64_t slot = 0; slot < mixing.slots(); ++slot) {
      scratch.index[slot] = slot_row(mixing, sequence, slot);
    }
    average(expert_rows_, mixing.slots(), scratch);
    for (; at < last; ++at) {
      kernels::table().sum_rows(
          {.rows = {.fp32 = scratch.mean}, .index = &kFirst, .count = 1, .accumulate = true}, dim(),
          {.fp32 = x_ + at * dim()});
    }
  });
}

}  // namespace softmoe
