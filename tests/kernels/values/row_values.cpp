// Layer norm and rows of sparse routers.

#include <array>

#include "kernels/values/kernel_values.h"

namespace softmoe::kernels::values {
namespace {

constexpr int64_t kNormRows = 7;

void add_layer_norm(const KernelTable& table, Precision precision, int64_t dim, bool has_bias,
                    Results& results) {
  const auto name =
      enum_name(precision) + " dim " + std::to_string(dim) + (has_bias ? " bias" : "");
  const auto affine = random_floats(2 * dim, 1);
  const LayerNormShape shape{.rows = kNormRows,
                             .dim = dim,
                             .eps = 1e-3F,
                             .weight = affine.data(),
                             .bias = has_bias ? affine.data() + dim : nullptr};
  const auto x = Array::random(precision, kNormRows * dim, 2);
  const auto d_y = Array::random(precision, kNormRows * dim, 3);
  const auto d_skip = random_floats(kNormRows * dim, 4);
  auto y = Array::unwritten(precision, kNormRows * dim);
  auto statistics = unwritten_floats(2 * kNormRows);
  table.layer_norm_forward(shape, x.source(), y.target(), statistics.data());
  results.add("layer_norm_forward " + name, y);
  results.add_sums("layer_norm_forward statistics " + name, statistics);
  for (const float* const skip : {static_cast<const float*>(nullptr), d_skip.data()}) {
    const auto full_name = name + (skip != nullptr ? " skip" : "");
    auto d_x = Array::unwritten(precision, kNormRows * dim);
    auto d_affine = random_floats(2 * dim, 5);
    table.layer_norm_backward(shape, x.source(), statistics.data(), d_y.source(), skip,
                              d_x.target(), d_affine.data());
    results.add("layer_norm_backward " + full_name, d_x);
    results.add_sums("layer_norm_backward affine " + full_name, d_affine);
  }
}

void add_rows(const KernelTable& table, Precision from, Precision to, int64_t dim,
              Results& results) {
  constexpr std::array<int64_t, 3> kIndex{4, 0, 2};
  const auto name = enum_name(from) + " to " + enum_name(to) + " dim " + std::to_string(dim);
  const int64_t stride = dim + 3;
  const auto rows = Array::random(from, kNormRows * stride, 6);
  const auto d_out = Array::random(from, dim, 7);
  const auto gates = random_floats(kNormRows, 8);
  // One value beyond the row stays as it is.
  auto out = Array::unwritten(to, dim + 1);
  table.copy_row(rows.source(), dim, out.target());
  results.add_exact("copy_row " + name, out);
  for (const float* const gate : {static_cast<const float*>(nullptr), gates.data()}) {
    for (const bool accumulate : {false, true}) {
      table.sum_rows({.rows = rows.source(),
                      .stride = stride,
                      .gate = gate,
                      .index = kIndex.data(),
                      .count = kIndex.size(),
                      .accumulate = accumulate},
                     dim, out.target());
      results.add("sum_rows " + name + (gate != nullptr ? " gated" : "") +
                      (accumulate ? " accumulated" : ""),
                  out);
    }
  }
  const float d_gate =
      table.scale_row(rows.source(), d_out.source(), gates.front(), dim, out.target());
  results.add("scale_row " + name, out);
  results.add_sums("scale_row gate " + name, {d_gate});
}

}  // namespace

void add_row_values(const KernelTable& table, Results& results) {
  for (const auto precision : kPrecisions) {
    for (const int64_t dim : {37, 80}) {
      for (const bool has_bias : {false, true}) {
        add_layer_norm(table, precision, dim, has_bias, results);
      }
      for (const auto to : kPrecisions) {
        add_rows(table, precision, to, dim, results);
      }
    }
  }
}

}  // namespace softmoe::kernels::values
