#pragma once
/// Packed linear maps on rows of values: the steps of inference that one thread does.

#include "inference/packed/packed_layers.h"

namespace softmoe {

/// Rows of fp32 or bf16 values, `stride` values apart.
struct ValueRows {
  kernels::Target values{};
  int64_t stride = 0;
  int64_t count = 0;

  kernels::Source source() const { return {values.fp32, values.bf16}; }
  ValueRows part(int64_t first, int64_t rows) const {
    return {values.offset(first * stride), stride, rows};
  }
};

/// Values from one row to the next: a whole and odd number of cache lines, so that rows do not
/// compete for the same places in the caches.
int64_t row_stride(kernels::Arithmetic values, int64_t columns);

/// Memory for rows of integers.
struct IntegerScratch {
  kernels::Unit* units = nullptr;
  float* scales = nullptr;
  float* zeros = nullptr;
};
/// Units that `rows` rows of `columns` values take in it.
int64_t integer_units(const PackedWeights& weights, int64_t rows, int64_t columns);

/// Rows in the arithmetic of some weights.
struct Operand {
  kernels::LeftUnits left{};
  const float* scales = nullptr;
  const float* zeros = nullptr;
};
/// `rows` as the left factor of `weights`, `columns` of them; converted into `scratch` where the
/// arithmetic is not that of the values.
Operand operand_of(const PackedWeights& weights, const ValueRows& rows, int64_t columns,
                   const IntegerScratch& scratch);

/// Which part of some weights a product takes.
struct LinearPart {
  int64_t expert = 0;
  int64_t column = 0;   ///< first, a multiple of 32
  int64_t columns = 0;  ///< 0: all
  int64_t chunk = 0;
  const kernels::Unit* next = nullptr;  ///< what is needed after it
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
/// must accumulate. `next`: what is needed after it.
void multiply_mlp(const PackedMlp& mlp, int64_t expert, Activation activation,
                  const ValueRows& rows, const kernels::ProductFinish& out,
                  const MlpScratch& scratch, const kernels::Unit* next);

}  // namespace softmoe
