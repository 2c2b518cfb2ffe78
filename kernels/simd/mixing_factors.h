#pragma once
/// The factors of the products of soft mixing by softmax weights, in fp32 or, where the level
/// multiplies bf16, in bf16 with sums in fp32. Internal linkage, as vector.h.
///
/// Logits, what leads to their gradients from keys, and all softmaxes are fp32 whatever these are.

#include "kernels/simd/groups.h"
#include "kernels/simd/soft_mixing_parts.h"

namespace softmoe::kernels {
namespace {

#ifdef SOFTMOE_BF16_PRODUCTS
inline constexpr bool kMixesBf16 = true;
#else
inline constexpr bool kMixesBf16 = false;
#endif

inline constexpr Precision kBf16Factors = Precision::kBFloat16;

/// Rows of tokens, for sums of them that the columns of a panel weigh.
template <bool kBf16>
class TokenSums {
 public:
  TokenSums(const MixingShape& shape, const float* rows, Scratch& memory)
      : shape_(shape), panels_(memory.take(channels_room(shape, shape.tokens))) {
    rows_to_panels(shape, rows, panels_);
  }
  /// sums [count, dim] = weights^T rows for `weights` [tokens, 32] of `count` slots.
  void sum(const float* weights, int64_t count, float* sums) const {
    panels_product(as_columns(weights, kPanel), count, panels_, shape_.tokens, shape_.tokens,
                   shape_.dim, /*accumulate=*/false, sums, shape_.dim);
  }

 private:
  const MixingShape& shape_;
  float* panels_;
};

/// Rows of tokens, for their products with slots.
template <bool kBf16>
class TokenRows {
 public:
  TokenRows(const MixingShape& shape, const float* rows, Scratch& /*memory*/)
      : shape_(shape), rows_(rows) {}
  /// products [tokens, 32] = rows slots^T for the `count` slots of a panel of SlotValues.
  void multiply(const float* panel, int64_t count, float* products) const {
    panel_product(as_rows(rows_, shape_.dim), shape_.tokens, panel, shape_.dim, count,
                  /*accumulate=*/false, products, kPanel);
  }

 private:
  const MixingShape& shape_;
  const float* rows_;
};

/// A block of up to `capacity` slots of an image.
template <bool kBf16>
class SlotValues {
 public:
  /// Weights of up to `tokens` tokens are taken at a time.
  SlotValues(const MixingShape& shape, int64_t capacity, int64_t /*tokens*/, Scratch& memory)
      : shape_(shape),
        capacity_(capacity),
        values_(memory.take(channels_room(shape, capacity))),
        panel_(memory.take(shape.dim * kPanel)) {}

  void load(int64_t image, int64_t first, int64_t count, Source source) {
    count_ = count;
    load_slots(shape_, image, first, count, source, capacity_, values_);
  }
  /// Slots [slot, slot + count) of the block as a factor of TokenRows, up to the next call.
  const float* panel(int64_t slot, int64_t count) {
    slots_to_panel(shape_, values_ + slot * kPanel, capacity_, count, panel_);
    return panel_;
  }
  /// sums [tokens, dim] (+)= weights values for `weights` in panels [slots / 32, tokens, 32].
  void sum(const float* weights, int64_t tokens, bool accumulate, float* sums) {
    panels_product(as_panels(weights, tokens), tokens, values_, capacity_, count_, shape_.dim,
                   accumulate, sums, shape_.dim);
  }

 private:
  const MixingShape& shape_;
  int64_t capacity_;
  int64_t count_ = 0;
  float* values_;
  float* panel_;
};

#ifdef SOFTMOE_BF16_PRODUCTS

inline Bf16* take_bf16(Scratch& memory, int64_t values) {
  return reinterpret_cast<Bf16*>(memory.take((values + 1) / 2));
}
inline Unit* take_units(Scratch& memory, int64_t units) {
  return reinterpret_cast<Unit*>(memory.take(units));
}

template <>
class TokenSums<true> {
 public:
  TokenSums(const MixingShape& shape, const float* rows, Scratch& memory)
      : shape_(shape),
        packed_(take_units(memory, packed_size(kBf16Factors, shape.tokens, shape.dim))),
        weights_(take_units(memory, kPanel * units())) {
    SOFTMOE_LEVEL::kPackKernels.pack_rows(kBf16Factors, {.fp32 = rows}, shape.dim, shape.tokens, 0,
                                          shape.dim, packed_);
  }
  void sum(const float* weights, int64_t count, float* sums) const {
    SOFTMOE_LEVEL::kPackKernels.pack_left_transposed(kBf16Factors, {.fp32 = weights}, kPanel,
                                                     shape_.tokens, 0, count, weights_, nullptr);
    const GemmShape product{
        .precision = kBf16Factors, .rows = count, .columns = shape_.dim, .units = units()};
    SOFTMOE_LEVEL::kGemmKernels.gemm_left_transposed(product, 0, count, weights_, packed_,
                                                     OutputMode::kReplace, sums, shape_.dim);
  }

 private:
  int64_t units() const { return units_of(kBf16Factors, shape_.tokens); }

  const MixingShape& shape_;
  Unit* packed_;
  Unit* weights_;
};

template <>
class TokenRows<true> {
 public:
  TokenRows(const MixingShape& shape, const float* rows, Scratch& memory)
      : shape_(shape), rows_(take_bf16(memory, shape.tokens * shape.dim)) {
    SOFTMOE_LEVEL::kPackKernels.to_bf16({.fp32 = rows}, shape.dim, shape.tokens, shape.dim, rows_,
                                        shape.dim);
  }
  void multiply(const Unit* panel, int64_t count, float* products) const {
    const GemmShape product{.precision = kBf16Factors,
                            .rows = shape_.tokens,
                            .columns = count,
                            .units = units_of(kBf16Factors, shape_.dim)};
    SOFTMOE_LEVEL::kGemmKernels.gemm(product, left_rows({.bf16 = rows_}, shape_.dim), panel,
                                     /*bias=*/nullptr, /*residual=*/nullptr, {.fp32 = products},
                                     kPanel);
  }

 private:
  const MixingShape& shape_;
  Bf16* rows_;
};

template <>
class SlotValues<true> {
 public:
  SlotValues(const MixingShape& shape, int64_t capacity, int64_t tokens, Scratch& memory)
      : shape_(shape),
        stride_(round_up(capacity, kPanel)),
        values_(take_bf16(memory, capacity * shape.dim)),
        packed_(take_units(memory, packed_size(kBf16Factors, capacity, shape.dim))),
        panel_(take_units(memory, kPanel * units_of(kBf16Factors, shape.dim))),
        weights_(take_bf16(memory, tokens * stride_)) {}

  void load(int64_t image, int64_t first, int64_t count, Source source) {
    count_ = count;
    is_packed_ = false;
    for (int64_t slot = 0; slot < count; ++slot) {
      __builtin_memcpy(values_ + slot * shape_.dim,
                       source.bf16 + slot_row(shape_, image, first + slot) * shape_.dim,
                       static_cast<size_t>(shape_.dim) * sizeof(Bf16));
    }
  }
  const Unit* panel(int64_t slot, int64_t count) {
    SOFTMOE_LEVEL::kPackKernels.pack_transposed(kBf16Factors, {.bf16 = values_ + slot * shape_.dim},
                                                shape_.dim, shape_.dim, 0, count, panel_);
    return panel_;
  }
  void sum(const float* weights, int64_t tokens, bool accumulate, float* sums) {
    if (!is_packed_) {
      SOFTMOE_LEVEL::kPackKernels.pack_rows(kBf16Factors, {.bf16 = values_}, shape_.dim, count_, 0,
                                            shape_.dim, packed_);
      is_packed_ = true;
    }
    for (int64_t slot = 0; slot < count_; slot += kPanel) {
      const int64_t columns = count_ - slot < kPanel ? count_ - slot : kPanel;
      SOFTMOE_LEVEL::kPackKernels.to_bf16({.fp32 = weights + slot * tokens}, kPanel, tokens,
                                          columns, weights_ + slot, stride_);
    }
    const GemmShape product{.precision = kBf16Factors,
                            .rows = tokens,
                            .columns = shape_.dim,
                            .units = units_of(kBf16Factors, count_)};
    SOFTMOE_LEVEL::kGemmKernels.gemm(product, left_rows({.bf16 = weights_}, stride_), packed_,
                                     /*bias=*/nullptr, accumulate ? sums : nullptr, {.fp32 = sums},
                                     shape_.dim);
  }

 private:
  const MixingShape& shape_;
  int64_t stride_;
  int64_t count_ = 0;
  bool is_packed_ = false;
  Bf16* values_;
  Unit* packed_;
  Unit* panel_;
  Bf16* weights_;
};

#endif

/// Floats that the factors of any function take, on any level.
inline int64_t factors_room(const MixingShape& shape) {
  const int64_t block = shape.slots() < kPanel        ? kPanel
                        : shape.slots() < kBlockSlots ? shape.slots()
                                                      : kBlockSlots;
  const int64_t fp32 = channels_room(shape, shape.tokens) + channels_room(shape, block) +
                       channels_room(shape, kPanel);
  constexpr int64_t kRounding = 16 * 8;  // each part begins at a multiple of 16
  const int64_t of_tokens = packed_size(kBf16Factors, shape.tokens, shape.dim) +
                            kPanel * units_of(kBf16Factors, shape.tokens) +
                            (shape.tokens * shape.dim + 1) / 2;
  const int64_t of_slots =
      (block * shape.dim + 1) / 2 + packed_size(kBf16Factors, block, shape.dim) +
      kPanel * units_of(kBf16Factors, shape.dim) + shape.tokens * round_up(block, kPanel) / 2;
  const int64_t bf16 = of_tokens + of_slots + kRounding;
  return fp32 > bf16 ? fp32 : bf16;
}

}  // namespace
}  // namespace softmoe::kernels
