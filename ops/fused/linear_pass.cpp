#include "ops/fused/linear_pass.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "kernels/table.h"
#include "ops/fused/values.h"
#include "ops/fused/weight_gradient.h"
#include "runtime/arena.h"
#include "runtime/thread_team.h"

namespace softmoe::fused {
namespace {

using kernels::Source;
using kernels::Target;
using kernels::Unit;

/// Rows that are multiplied by all columns of the weight before the next ones are.
constexpr int64_t kLinearRows = 64;

/// A product of rows and a packed right factor: what the forward pass and the gradient of x share.
struct RowProduct {
  Precision precision;
  int64_t depth;
  int64_t columns;

  int64_t units() const { return kernels::units_of(precision, depth); }
  int64_t packed_size() const { return kernels::packed_size(precision, depth, columns); }
  /// Values from row to row of the left factor: units do not reach from one row into the next.
  int64_t stride() const { return units() * kernels::values_per_unit(precision); }
  /// Returns true if rows have to be copied to become a left factor.
  bool copies(Source rows) const { return is_rounded(rows, precision) || stride() != depth; }
};

/// Scratch memory of a RowProduct.
struct RowScratch {
  Unit* packed;
  Target copied;  // [threads, kLinearRows, stride]
};

size_t row_room(const RowProduct& product) {
  return Arena::room<Unit>(product.packed_size()) +
         values_room(product.precision, at::get_num_threads() * kLinearRows * product.stride());
}

RowScratch take_rows(Arena& arena, const RowProduct& product) {
  return {.packed = arena.take<Unit>(product.packed_size()),
          .copied = take_values(arena, product.precision,
                                at::get_num_threads() * kLinearRows * product.stride())};
}

/// This thread's share of out [rows, columns] = x [rows, depth] times the packed factor.
void multiply_rows(const ThreadTeam& team, const RowProduct& product, int64_t rows, Source x,
                   const RowScratch& scratch, const float* bias, Target out) {
  const auto share = team.share(rows, kernels::kTileRows);
  const Target copied = scratch.copied.offset(team.rank * kLinearRows * product.stride());
  for (int64_t row = share.first; row < share.last; row += kLinearRows) {
    const int64_t count = std::min(kLinearRows, share.last - row);
    Source left = x.offset(row * product.depth);
    if (product.copies(x)) {
      kernels::table().to_bf16(left, product.depth, count, product.depth, copied.bf16,
                               product.stride());
      left = copied;
    }
    kernels::table().gemm({product.precision, count, product.columns, product.units()},
                          kernels::left_rows(left, product.stride()), scratch.packed, bias,
                          /*residual=*/nullptr, out.offset(row * product.columns), product.columns);
  }
}

}  // namespace

void linear_forward(const LinearShape& shape, const LinearForwardJob& job) {
  const RowProduct product{shape.precision, shape.inputs, shape.outputs};
  Arena& arena = thread_arena();
  arena.reset(row_room(product));
  const auto scratch = take_rows(arena, product);
  run_team([&](const ThreadTeam& team) {
    const auto columns = team.share(shape.outputs, kernels::kPanelColumns);
    kernels::table().pack_transposed(shape.precision, job.weight, shape.inputs, shape.inputs,
                                     columns.first, columns.last, scratch.packed);
    team.barrier();
    multiply_rows(team, product, shape.rows, job.x, scratch, job.bias, job.y);
  });
}

void linear_backward(const LinearShape& shape, const LinearBackwardJob& job) {
  const RowProduct product{shape.precision, shape.outputs, shape.inputs};
  const int64_t block_rows = std::min(shape.rows, kGradientRows);
  Arena& arena = thread_arena();
  arena.reset(row_room(product) +
              weight_gradient_room(shape.precision, block_rows, shape.outputs, shape.inputs));
  const auto scratch = take_rows(arena, product);
  const std::array<WeightGradientScratch, 2> gradient_scratch{take_weight_gradient_scratch(
      arena, shape.precision, block_rows, shape.outputs, shape.inputs)};
  run_team([&](const ThreadTeam& team) {
    if (job.d_x) {
      const auto columns = team.share(shape.inputs, kernels::kPanelColumns);
      kernels::table().pack_rows(shape.precision, job.weight, shape.inputs, shape.outputs,
                                 columns.first, columns.last, scratch.packed);
      team.barrier();
      multiply_rows(team, product, shape.rows, job.d_y, scratch, /*bias=*/nullptr, job.d_x);
    }
    for (int64_t block = 0; block < shape.rows; block += kGradientRows) {
      const std::array<WeightGradient, 2> gradients{
          {{job.d_y.offset(block * shape.outputs), shape.outputs,
            job.x.offset(block * shape.inputs), shape.inputs, job.d_weight, job.d_bias}}};
      if (gradients[0].is_wanted()) {
        weight_gradients(team, shape.precision, std::min(kGradientRows, shape.rows - block),
                         gradients, gradient_scratch, /*accumulate=*/block > 0);
      }
    }
  });
}

}  // namespace softmoe::fused
