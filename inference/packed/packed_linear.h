#pragma once
/// Packed linear maps on rows of values: steps of inference that one thread does.

#include "inference/packed/packed_layers.h"
#include "runtime/arena.h"

namespace softmoe {

/// Rows of fp32 or bf16 values, `stride` values apart.
struct ValueRows {
  kernels::Target values{};
  int64_t stride = 0;
  int64_t count = 0;

  kernels::Source source() const { return {values.fp32, values.bf16}; }
  /// The rows as units of the precision of the values.
  kernels::Unit* units() const {
    return values.bf16 != nullptr ? reinterpret_cast<kernels::Unit*>(values.bf16)
                                  : reinterpret_cast<kernels::Unit*>(values.fp32);
  }
  ValueRows part(int64_t first, int64_t rows) const {
    return {values.offset(first * stride), stride, rows};
  }
};

/// Takes `count` rows of `columns` values, kFloat32 or kBFloat16. From one row to the next it is an
/// odd number of cache lines, so that rows do not compete for the same places in the caches.
ValueRows take_rows(Arena& arena, Precision values, int64_t count, int64_t columns);

/// Memory for rows of integers.
struct IntegerScratch {
  kernels::Unit* units = nullptr;
  float* scales = nullptr;
  float* zeros = nullptr;
};
/// Units that `rows` rows of `columns` values take in it; 0 if the weights are no integers.
int64_t integer_units(const PackedWeights& weights, int64_t rows, int64_t columns);
/// Takes `units` units and the scales of `rows` rows; nothing for 0 units.
IntegerScratch take_integers(Arena& arena, int64_t units, int64_t rows);

/// Rows in the precision of the weights that they are multiplied by.
struct Operand {
  kernels::LeftUnits left{};
  const float* scales = nullptr;
  const float* zeros = nullptr;
};
/// `columns` columns of `rows` as the left factor of `weights`; converted into `scratch` if the
/// weights are integers.
Operand operand_of(const PackedWeights& weights, const ValueRows& rows, int64_t columns,
                   const IntegerScratch& scratch);

/// The part of weights that a product takes.
struct LinearPart {
  int64_t expert = 0;
  int64_t column = 0;   ///< first, a multiple of 32
  int64_t columns = 0;  ///< 0: all
  int64_t chunk = 0;
  const kernels::Unit* next = nullptr;  ///< weights that are needed after it
};

/// `rows` rows of `operand` times a part of `weights`. The bias comes with the first chunk.
void multiply(const PackedWeights& weights, const LinearPart& part, const Operand& operand,
              int64_t rows, kernels::ProductFinish finish);

/// Memory of an MLP for as many rows as go through it at a time.
struct MlpScratch {
  ValueRows hidden{};
  IntegerScratch integers{};
};

/// fc2(activation(fc1(rows))) of one expert, `out` as multiply() has it; with several chunks it
/// must accumulate. `next`: weights that are needed after it.
void multiply_mlp(const PackedMlp& mlp, int64_t expert, Activation activation,
                  const ValueRows& rows, const kernels::ProductFinish& out,
                  const MlpScratch& scratch, const kernels::Unit* next);

}  // namespace softmoe
