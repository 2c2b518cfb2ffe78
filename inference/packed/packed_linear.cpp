#include "inference/packed/packed_linear.h"

#include <algorithm>

#include "kernels/table.h"

namespace softmoe {

using kernels::Unit;

namespace {

/// The number of values from the beginning of one row to that of the next.
int64_t row_stride(Precision values, int64_t columns) {
  constexpr int64_t kLine = 16;  // units
  const int64_t lines = (kernels::units_of(values, columns) + kLine - 1) / kLine;
  return (lines | 1) * kLine * kernels::values_per_unit(values);
}

int64_t integer_stride(int64_t columns) {
  return row_stride(Precision::kInt8, columns) / kernels::values_per_unit(Precision::kInt8);
}

}  // namespace

ValueRows take_rows(Arena& arena, Precision values, int64_t count, int64_t columns) {
  const int64_t stride = row_stride(values, columns);
  if (values == Precision::kFloat32) {
    return {{.fp32 = arena.take<float>(count * stride)}, stride, count};
  }
  return {{.bf16 = arena.take<kernels::Bf16>(count * stride)}, stride, count};
}

int64_t integer_units(const PackedWeights& weights, int64_t rows, int64_t columns) {
  if (weights.precision() != Precision::kInt8) {
    return 0;
  }
  return (weights.wide_rows() ? 2 : 1) * rows * integer_stride(columns);
}

IntegerScratch take_integers(Arena& arena, int64_t units, int64_t rows) {
  if (units == 0) {
    return {};
  }
  return {.units = arena.take<Unit>(units),
          .scales = arena.take<float>(rows),
          .zeros = arena.take<float>(rows)};
}

Operand operand_of(const PackedWeights& weights, const ValueRows& rows, int64_t columns,
                   const IntegerScratch& scratch) {
  if (weights.precision() != Precision::kInt8) {
    return {.left = {rows.units(), rows.stride / kernels::values_per_unit(weights.precision())}};
  }
  const int64_t stride = integer_stride(columns);
  if (weights.wide_rows()) {
    kernels::table().quantize_planes(rows.values.bf16, rows.stride, rows.count, columns,
                                     scratch.units, stride, scratch.scales);
    return {.left = {scratch.units, stride}, .scales = scratch.scales};
  }
  kernels::table().quantize_bytes(rows.source(), rows.stride, rows.count, columns, scratch.units,
                                  stride, scratch.scales, scratch.zeros);
  return {.left = {scratch.units, stride}, .scales = scratch.scales, .zeros = scratch.zeros};
}

void multiply(const PackedWeights& weights, const LinearPart& part, const Operand& operand,
              int64_t rows, kernels::ProductFinish finish) {
  const int64_t columns = part.columns > 0 ? part.columns : weights.columns() - part.column;
  const int64_t depth = std::min(weights.chunk(), weights.depth() - part.chunk * weights.chunk());
  finish.bias = part.chunk == 0 ? weights.bias(part.expert, part.column) : nullptr;
  finish.integers = {.row_scales = operand.scales,
                     .row_zeros = operand.zeros,
                     .column_scales = weights.scales(part.expert, part.column),
                     .column_sums = weights.sums(part.expert, part.column, part.chunk)};
  auto panels = weights.panels(part.expert, part.column, part.chunk);
  panels.next = part.next;
  kernels::table().packed_product(weights.precision(),
                                  {rows, columns, kernels::units_of(weights.precision(), depth)},
                                  operand.left, panels, finish);
}

void multiply_mlp(const PackedMlp& mlp, int64_t expert, Activation activation,
                  const ValueRows& rows, const kernels::ProductFinish& out,
                  const MlpScratch& scratch, const Unit* next) {
  const auto& [fc1, fc2] = mlp;
  const int64_t each = kernels::columns_per_output(activation);
  const Operand inputs = operand_of(fc1, rows, fc1.depth(), scratch.integers);
  // Quantised inputs are needed for every chunk, quantised hidden values for one.
  IntegerScratch integers = scratch.integers;
  if (integers.units != nullptr) {
    integers.units += integer_units(fc1, rows.count, fc1.depth());
    integers.scales += rows.count;
    integers.zeros += rows.count;
  }
  for (int64_t chunk = 0; chunk < fc2.chunks(); ++chunk) {
    const int64_t first = chunk * fc2.chunk();
    const int64_t column = each * first;
    multiply(fc1,
             {.expert = expert,
              .column = column,
              .columns = std::min(each * fc2.chunk(), fc1.columns() - column),
              .next = fc2.panels(expert, 0, chunk).data},
             inputs, rows.count,
             {.out = scratch.hidden.values,
              .out_stride = scratch.hidden.stride,
              .activation = activation});
    const Operand hidden = operand_of(fc2, scratch.hidden.part(0, rows.count),
                                      std::min(fc2.chunk(), fc2.depth() - first), integers);
    const bool is_last = chunk + 1 == fc2.chunks();
    const int64_t following = column + each * fc2.chunk();
    multiply(fc2,
             {.expert = expert,
              .chunk = chunk,
              .next = is_last ? next : fc1.panels(expert, following, 0).data},
             hidden, rows.count, out);
  }
}

}  // namespace softmoe
