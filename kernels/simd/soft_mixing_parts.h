#pragma once
/// What dispatch and combine of soft mixing share. Internal linkage, as vector.h.

#include "kernels/simd/panels.h"
#include "kernels/soft_mixing.h"

namespace softmoe::kernels {
namespace {

/// Slots whose softmax, inputs or outputs are held at a time.
constexpr int64_t kBlockSlots = 256;
/// Tokens whose softmax and outputs the forward pass of combine holds at a time.
constexpr int64_t kBlockTokens = 256;

/// Hands out the scratch memory of one image.
class Scratch {
 public:
  explicit Scratch(float* memory) : memory_(memory) {}
  float* take(int64_t size) {
    float* const part = memory_;
    memory_ += round_up(size, 16);
    return part;
  }

 private:
  float* memory_;
};

/// Slots of panel `panel`, up to 32.
inline int64_t panel_slots(const MixingShape& shape, int64_t panel) {
  const int64_t left = shape.slots() - panel * kPanel;
  return left < kPanel ? left : kPanel;
}

/// Row of slot `slot` of `image` in expert inputs and outputs.
inline int64_t slot_row(const MixingShape& shape, int64_t image, int64_t slot) {
  const int64_t expert = slot / shape.slots_per_expert;
  return (expert * shape.batch + image) * shape.slots_per_expert + slot % shape.slots_per_expert;
}

/// Slots [first, first + count) of an image as panels of channels [dim / 32, capacity, 32].
inline void load_slots(const MixingShape& shape, int64_t image, int64_t first, int64_t count,
                       Source source, int64_t capacity, float* panels) {
  for (int64_t slot = 0; slot < count; ++slot) {
    to_panels(source.offset(slot_row(shape, image, first + slot) * shape.dim), shape.dim, slot,
              capacity, panels);
  }
}

/// Writes `values` [count, dim] to slots [first, first + count) of an image.
inline void store_slots(const MixingShape& shape, int64_t image, int64_t first, int64_t count,
                        const float* values, Target target) {
  for (int64_t slot = 0; slot < count; ++slot) {
    const int64_t row = slot_row(shape, image, first + slot) * shape.dim;
    for (int64_t channel = 0; channel < shape.dim; channel += kLanes) {
      const Floats value = load(values + slot * shape.dim + channel);
      store(target, row + channel, value);
    }
  }
}

/// A block of up to 32 slots, panels of channels [dim / 32, capacity, 32], as one panel of slots
/// [dim, 32].
inline void slots_to_panel(const MixingShape& shape, const float* panels, int64_t capacity,
                           int64_t count, float* panel) {
  for (int64_t channel = 0; channel < shape.dim; channel += 16) {
    fp32_transpose(panels + channel / kPanel * capacity * kPanel + channel % kPanel, kPanel, count,
                   16, panel + channel * kPanel, kPanel);
  }
}

/// Rows [tokens, dim] as panels of channels [dim / 32, tokens, 32].
inline void rows_to_panels(const MixingShape& shape, const float* rows, float* panels) {
  for (int64_t token = 0; token < shape.tokens; ++token) {
    to_panels({.fp32 = rows + token * shape.dim}, shape.dim, token, shape.tokens, panels);
  }
}

/// The product of two rows.
inline float dot(const float* left, const float* right, int64_t count) {
  Floats sum = zero();
  for (int64_t at = 0; at < count; at += kLanes) {
    sum = fmadd(load(left + at), load(right + at), sum);
  }
  return sum_of(sum);
}

/// Floats of `rows` rows in panels of channels.
inline int64_t channels_room(const MixingShape& shape, int64_t rows) {
  return round_up(round_up(shape.dim, kPanel) * rows, 16);
}

}  // namespace
}  // namespace softmoe::kernels
