// Soft MoE layers of the packed forward pass (Puigcerver et al., arXiv:2308.00951, algorithm 1).
//
// Logits are cosines times a scale, so that their powers can be added as they are: one matrix of
// powers serves both softmaxes, over tokens and over slots, which differ in what it is divided by.

#include <algorithm>
#include <cstring>

#include "inference/packed/packed_pass.h"

namespace softmoe {

using kernels::Unit;

namespace {

kernels::Source optional_row(const ValueRows& rows, bool there) {
  return there ? rows.source() : kernels::Source{};
}

const Unit* units_in(const ValueRows& rows) {
  return rows.values.bf16 != nullptr ? reinterpret_cast<const Unit*>(rows.values.bf16)
                                     : reinterpret_cast<const Unit*>(rows.values.fp32);
}

}  // namespace

int64_t PackedPass::slot_row(const PackedMixing& mixing, int64_t image, int64_t slot) const {
  const int64_t each = mixing.slots_per_expert;
  return (slot / each * batch_ + image) * each + slot % each;
}

Unit* PackedPass::panels_of_image(Unit* all, const Portion& portion, int64_t image,
                                  int64_t units) const {
  return all + portion.place(image) * kernels::panels_of(layers_.options.dim) * units *
                   kernels::kUnitColumns;
}

/// The second norm of some rows, and the powers of their logits.
void PackedPass::weigh_slots(const PackedBlock& block, const ThreadMemory& memory, int64_t row,
                             int64_t count) {
  const int64_t dim = layers_.options.dim;
  const auto& mixing = block.mixing;
  const auto tokens = mixed_.part(row, count);
  // Logits are fp32 whatever the precision.
  float* const normed = memory.normed_fp32;
  kernels::norm_rows(block.norm2.rows(), x_ + row * dim, dim, count, normed, dim,
                     tokens.values.bf16, tokens.stride);
  if (tokens.values.fp32 != nullptr) {
    for (int64_t index = 0; index < count; ++index) {
      std::memcpy(tokens.values.fp32 + index * tokens.stride, normed + index * dim,
                  static_cast<size_t>(dim) * sizeof(float));
    }
  }
  kernels::inverse_norms(normed, dim, count, dim, mixing.eps, memory.factors);
  const int64_t stride = kernels::round_up(mixing.slots(), 32);
  multiply(mixing.keys, {}, Operand{.left = {reinterpret_cast<const Unit*>(normed), dim}}, count,
           {.out = {.fp32 = memory.logits}, .out_stride = stride, .row_factors = memory.factors});
  const auto powers = powers_.part(row, count);
  kernels::exponential_rows(memory.logits, stride, count, mixing.slots(),
                            kernels::round_up(mixing.slots(), 2), powers.values, powers.stride,
                            inverse_sums_ + row);
}

void PackedPass::pack_tokens(const Portion& portion) {
  const int64_t dim = layers_.options.dim;
  const int64_t tokens = layers_.options.tokens();
  const int64_t each = kernels::values_per_unit(layers_.values);
  const int64_t units = kernels::units_of(layers_.values, tokens);
  const auto share = portion.of(units);
  for (int64_t index = share.first; index < share.last; ++index) {
    const int64_t image = index / units;
    const int64_t unit = index % units;
    const int64_t token = unit * each;
    const auto rows = mixed_.part(image * tokens + token, 2);
    kernels::pack_depth_unit(
        layers_.values, rows.source(),
        optional_row(rows.part(1, 1), each == 2 && token + 1 < tokens), dim,
        panels_of_image(packed_tokens_, portion, image, units) + unit * kernels::kUnitColumns,
        units * kernels::kUnitColumns);
  }
}

/// Expert inputs: averages of an image's tokens, 32 slots at a time.
void PackedPass::fill_slots(const Portion& portion, const PackedMixing& mixing) {
  const auto& memory = portion.memory;
  const int64_t dim = layers_.options.dim;
  const int64_t tokens = layers_.options.tokens();
  const int64_t each = kernels::values_per_unit(layers_.values);
  const int64_t units = kernels::units_of(layers_.values, tokens);
  const int64_t panels = kernels::panels_of(mixing.slots());
  const size_t row_bytes = static_cast<size_t>(dim) * sizeof(Unit) / static_cast<size_t>(each);
  const auto share = portion.of(panels);
  for (int64_t index = share.first; index < share.last; ++index) {
    const int64_t image = index / panels;
    const int64_t first = index % panels * kernels::kUnitColumns;
    const int64_t count = std::min(kernels::kUnitColumns, mixing.slots() - first);
    auto powers = powers_.part(image * tokens, tokens);
    powers.values = powers.values.offset(first);
    kernels::inverse_column_sums(powers.source(), powers.stride, tokens, count, memory.sums);
    kernels::LeftUnits left{units_in(powers), 1, powers.stride};
    if (each == 2) {
      for (int64_t unit = 0; unit < units; ++unit) {
        const auto rows = powers.part(unit * 2, 2);
        kernels::pack_depth_unit(layers_.values, rows.source(),
                                 optional_row(rows.part(1, 1), unit * 2 + 1 < tokens), count,
                                 memory.powers + unit * kernels::kUnitColumns, 0);
      }
      left = {memory.powers, 1, kernels::kUnitColumns};
    }
    kernels::packed_product(
        layers_.values, {count, dim, units}, left,
        {panels_of_image(packed_tokens_, portion, image, units), units * kernels::kUnitColumns},
        {.out = memory.slots.values,
         .out_stride = memory.slots.stride,
         .row_factors = memory.sums});
    for (int64_t slot = 0; slot < count; ++slot) {
      const auto target = expert_rows_.part(slot_row(mixing, image, first + slot), 1);
      std::memcpy(const_cast<Unit*>(units_in(target)), units_in(memory.slots.part(slot, 1)),
                  row_bytes);
    }
  }
}

/// Each expert's rows through its MLP, in place. With fewer experts than would keep the threads
/// busy, threads share each expert's rows.
void PackedPass::run_experts(const Team& team, const PackedBlock& block) {
  const auto& memory = thread_memory_[static_cast<size_t>(team.rank)];
  const auto& mixing = block.mixing;
  const int64_t rows = batch_ * mixing.slots_per_expert;
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
    const int64_t blocks = (last - first + kExpertRows - 1) / kExpertRows;
    for (int64_t at = 0; at < blocks; ++at) {
      const int64_t begin = first + (last - first) * at / blocks;
      const int64_t end = first + (last - first) * (at + 1) / blocks;
      const auto values = expert_rows_.part(expert * rows + begin, end - begin);
      multiply_mlp(block.mlp, expert, layers_.activation, values,
                   {.out = values.values, .out_stride = values.stride}, memory.mlp,
                   at + 1 < blocks ? block.mlp.fc1.panels(expert, 0, 0).data : next);
    }
  }
}

void PackedPass::pack_slots(const Portion& portion, const PackedMixing& mixing) {
  const int64_t dim = layers_.options.dim;
  const int64_t each = kernels::values_per_unit(layers_.values);
  const int64_t units = kernels::units_of(layers_.values, mixing.slots());
  const auto share = portion.of(units);
  for (int64_t index = share.first; index < share.last; ++index) {
    const int64_t image = index / units;
    const int64_t unit = index % units;
    const int64_t slot = unit * each;
    const bool has_second = each == 2 && slot + 1 < mixing.slots();
    const auto second =
        has_second ? expert_rows_.part(slot_row(mixing, image, slot + 1), 1) : ValueRows{};
    kernels::pack_depth_unit(
        layers_.values, expert_rows_.part(slot_row(mixing, image, slot), 1).source(),
        second.source(), dim,
        panels_of_image(packed_slots_, portion, image, units) + unit * kernels::kUnitColumns,
        units * kernels::kUnitColumns);
  }
}

/// Adds to each token its average of all slots.
void PackedPass::combine_slots(const Portion& portion, const PackedMixing& mixing) {
  const int64_t dim = layers_.options.dim;
  const int64_t tokens = layers_.options.tokens();
  const int64_t units = kernels::units_of(layers_.values, mixing.slots());
  const auto share = portion.of(tokens);
  for (int64_t at = share.first; at < share.last;) {
    const int64_t image = at / tokens;
    const int64_t last = std::min(share.last, (image + 1) * tokens);
    for_each_block({at, last}, [&](int64_t row, int64_t count) {
      const auto powers = powers_.part(row, count);
      kernels::packed_product(
          layers_.values, {count, dim, units},
          {units_in(powers), powers.stride / kernels::values_per_unit(layers_.values)},
          {panels_of_image(packed_slots_, portion, image, units), units * kernels::kUnitColumns},
          {.out = {.fp32 = x_ + row * dim},
           .out_stride = dim,
           .row_factors = inverse_sums_ + row,
           .accumulate = true});
    });
    at = last;
  }
}

}  // namespace softmoe
