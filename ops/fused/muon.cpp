#include "ops/fused/muon.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "kernels/table.h"
#include "ops/compute_precision.h"
#include "ops/fused/update.h"
#include "ops/fused/values.h"
#include "runtime/thread_team.h"

namespace softmoe::fused {
namespace {

using kernels::Source;
using kernels::Target;
using kernels::Unit;

/// A matrix and what belongs to it, all [rows, columns].
struct MuonMatrix {
  int64_t rows;
  int64_t columns;
  const float* gradient;
  float* mean;
  float* parameter;

  int64_t size() const { return rows * columns; }
  bool is_tall() const { return rows > columns; }
  int64_t shorter() const { return std::min(rows, columns); }
  int64_t longer() const { return std::max(rows, columns); }
};

std::vector<MuonMatrix> matrices_of(const UpdatedTensors& tensors) {
  std::vector<MuonMatrix> matrices;
  for (size_t index = 0; index < tensors.parameters.size(); ++index) {
    const auto& parameter = tensors.parameters[index];
    const int64_t rows = parameter.size(-2);
    const int64_t columns = parameter.size(-1);
    for (int64_t at = 0; at < parameter.numel(); at += rows * columns) {
      matrices.push_back({.rows = rows,
                          .columns = columns,
                          .gradient = tensors.gradients[index].const_data_ptr<float>() + at,
                          .mean = tensors.state[0][index].data_ptr<float>() + at,
                          .parameter = parameter.data_ptr<float>() + at});
    }
  }
  // The largest ones first, so that threads end at about the same time.
  std::ranges::stable_sort(matrices, std::greater{}, &MuonMatrix::size);
  return matrices;
}

/// The Newton-Schulz iteration on one matrix after another, by one thread.
class Orthogonalizer {
 public:
  explicit Orthogonalizer(Precision precision) : precision_(precision) {}

  /// Takes scratch memory for matrices of any of these sizes.
  void take(Arena& arena, const std::vector<MuonMatrix>& matrices) {
    int64_t values = 0;
    int64_t shorter = 0;
    int64_t packed = 0;
    int64_t left = 0;
    for (const auto& matrix : matrices) {
      const int64_t wide = stride(matrix.columns);
      values = std::max(values, matrix.rows * wide);
      shorter = std::max(shorter, stride(matrix.shorter()));
      packed = std::max({packed, packed_size(matrix.columns, matrix.rows),
                         packed_size(matrix.rows, matrix.columns)});
      left = std::max(left, packed_size(matrix.rows, matrix.columns));
    }
    direction_ = arena.take<float>(values);
    x_ = take_values(arena, precision_, values);
    next_ = take_values(arena, precision_, values);
    gram_ = arena.take<float>(shorter * shorter);
    linear_ = arena.take<float>(shorter * shorter);
    mixed_ = arena.take<float>(shorter * shorter);
    factor_ = take_values(arena, precision_, shorter * shorter);
    packed_ = arena.take<Unit>(std::max(packed, packed_size(shorter, shorter)));
    left_ = arena.take<Unit>(left);
  }

  /// Updates `matrix`.
  void update(const MuonStep& step, const MuonMatrix& matrix) {
    const kernels::MuonConstants constants{static_cast<float>(step.momentum),
                                           static_cast<float>(step.gradient_factor)};
    const double squares = kernels::table().muon_direction(
        constants, matrix.size(), matrix.gradient, matrix.mean, direction_);
    begin(matrix, std::sqrt(squares));
    for (const auto& newton_schulz : kNewtonSchulzSteps) {
      advance(matrix, newton_schulz);
    }
    const auto keep = static_cast<float>(1.0 - step.lr * step.decay);
    const auto rate = static_cast<float>(step.lr * muon_factor(matrix.rows, matrix.columns));
    const int64_t x_stride = stride(matrix.columns);
    for (int64_t row = 0; row < matrix.rows; ++row) {
      kernels::table().move(keep, rate, matrix.columns, Source(x_).offset(row * x_stride),
                            matrix.parameter + row * matrix.columns);
    }
  }

 private:
  int64_t units(int64_t depth) const { return kernels::units_of(precision_, depth); }
  /// Values from row to row: units do not reach from one row into the next.
  int64_t stride(int64_t columns) const {
    return units(columns) * kernels::values_per_unit(precision_);
  }
  int64_t packed_size(int64_t depth, int64_t columns) const {
    return kernels::packed_size(precision_, depth, columns);
  }

  /// x = direction / norm. Rows of units that an odd number of columns does not fill end with zero,
  /// in the memory of the next x, too: products write columns alone.
  void begin(const MuonMatrix& matrix, double norm) {
    kernels::table().multiply(direction_, matrix.size(),
                              static_cast<float>(1.0 / std::max(norm, kMinMuonNorm)));
    if (precision_ == Precision::kBFloat16) {
      const int64_t x_stride = stride(matrix.columns);
      kernels::table().to_bf16({.fp32 = direction_}, matrix.columns, matrix.rows, matrix.columns,
                               x_.bf16, x_stride);
      for (int64_t row = 0; x_stride > matrix.columns && row < matrix.rows; ++row) {
        next_.bf16[(row + 1) * x_stride - 1] = 0;
      }
    } else {
      std::copy_n(direction_, matrix.size(), x_.fp32);
    }
  }

  /// gram [shorter, shorter] = x x^T or x^T x.
  void multiply_by_itself(const MuonMatrix& matrix) {
    const auto& table = kernels::table();
    const int64_t n = matrix.shorter();
    const int64_t x_stride = stride(matrix.columns);
    const kernels::GemmShape shape{precision_, n, n, units(matrix.longer())};
    if (matrix.is_tall()) {
      table.pack_left_transposed(precision_, x_, x_stride, matrix.rows, 0, n, left_, nullptr);
      table.pack_rows(precision_, x_, x_stride, matrix.rows, 0, n, packed_);
      table.gemm_left_transposed(shape, 0, n, left_, packed_, kernels::OutputMode::kReplace, gram_,
                                 n);
    } else {
      table.pack_transposed(precision_, x_, x_stride, matrix.columns, 0, n, packed_);
      table.gemm(shape, kernels::left_rows(x_, x_stride), packed_, /*bias=*/nullptr,
                 /*residual=*/nullptr, {.fp32 = gram_}, n);
    }
  }

  /// factor = a I + b gram + c gram gram, in the precision of the products.
  void mix(int64_t n, const NewtonSchulzStep& step) {
    const auto& table = kernels::table();
    const auto scaled_gram = [&](double factor, float* out) {
      std::copy_n(gram_, n * n, out);
      table.multiply(out, n * n, static_cast<float>(factor));
      return out;
    };
    const float* linear = scaled_gram(step.b, linear_);
    const Source square = as_factor(scaled_gram(step.c, mixed_), n);
    table.pack_rows(precision_, {.fp32 = gram_}, n, n, 0, n, packed_);
    table.gemm({precision_, n, n, units(n)}, kernels::left_rows(square, stride(n)), packed_,
               /*bias=*/nullptr, linear, {.fp32 = gram_}, n);
    for (int64_t at = 0; at < n; ++at) {
      gram_[at * (n + 1)] += static_cast<float>(step.a);
    }
  }

  /// The square matrix `values` [n, n] as a factor of products.
  Source as_factor(const float* values, int64_t n) {
    if (precision_ == Precision::kFloat32) {
      return {.fp32 = values};
    }
    kernels::table().to_bf16({.fp32 = values}, n, n, n, factor_.bf16, stride(n));
    return factor_;
  }

  /// One step of the iteration.
  void advance(const MuonMatrix& matrix, const NewtonSchulzStep& step) {
    const auto& table = kernels::table();
    const int64_t n = matrix.shorter();
    const int64_t x_stride = stride(matrix.columns);
    multiply_by_itself(matrix);
    mix(n, step);
    Source left = x_;
    int64_t left_stride = x_stride;
    if (matrix.is_tall()) {
      table.pack_rows(precision_, {.fp32 = gram_}, n, n, 0, n, packed_);
    } else {
      table.pack_rows(precision_, x_, x_stride, n, 0, matrix.columns, packed_);
      left = as_factor(gram_, n);
      left_stride = stride(n);
    }
    table.gemm({precision_, matrix.rows, matrix.columns, units(n)},
               kernels::left_rows(left, left_stride), packed_, /*bias=*/nullptr,
               /*residual=*/nullptr, next_, x_stride);
    std::swap(x_, next_);
  }

  Precision precision_;
  float* direction_ = nullptr;
  Target x_;     // [rows, stride of columns]
  Target next_;  // as x_
  float* gram_ = nullptr;
  float* linear_ = nullptr;
  float* mixed_ = nullptr;
  Target factor_;  // [shorter, stride of shorter]
  Unit* packed_ = nullptr;
  Unit* left_ = nullptr;
};

}  // namespace

bool takes_muon(const UpdatedTensors& tensors) {
  return takes_update(tensors.parameters) && takes_update(tensors.gradients) &&
         takes_update(tensors.state[0]);
}

void muon(const MuonStep& step, const UpdatedTensors& tensors) {
  const auto matrices = matrices_of(tensors);
  const Precision precision = fastest_precision(torch::kCPU);
  std::vector<Orthogonalizer> threads(static_cast<size_t>(at::get_num_threads()),
                                      Orthogonalizer(precision));
  thread_arena().lay_out([&](Arena& layout) {
    for (auto& thread : threads) {
      thread.take(layout, matrices);
    }
  });
  // Whichever thread takes a matrix, its update is the same.
  std::atomic<size_t> next = 0;
  run_team([&](const ThreadTeam& team) {
    auto& thread = threads[static_cast<size_t>(team.rank)];
    for (size_t index = next++; index < matrices.size(); index = next++) {
      thread.update(step, matrices[index]);
    }
  });
}

}  // namespace softmoe::fused
