#pragma once
/// Plain C++ in double precision that the kernels are compared with.

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "core/precision.h"
#include "kernels/types.h"

namespace softmoe::test {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;
using Bf16s = std::vector<kernels::Bf16>;

/// A matrix [rows, columns], row after row.
struct Matrix {
  int64_t rows = 0;
  int64_t columns = 0;
  Doubles values{};

  Matrix(int64_t row_count, int64_t column_count, double value = 0.0)
      : rows(row_count),
        columns(column_count),
        values(static_cast<size_t>(row_count * column_count), value) {}

  double& at(int64_t row, int64_t column) {
    return values[static_cast<size_t>(row * columns + column)];
  }
  double at(int64_t row, int64_t column) const {
    return values[static_cast<size_t>(row * columns + column)];
  }
  Matrix transposed() const;
  /// Columns [first, last).
  Matrix slice(int64_t first, int64_t last) const;
};

Matrix operator*(const Matrix& a, const Matrix& b);
Matrix operator+(Matrix a, const Matrix& b);

/// Normally distributed values that bf16 represents exactly. Equal seeds give equal values.
Matrix random_matrix(int64_t rows, int64_t columns, uint32_t seed, double factor = 1.0);

/// Softmax over the columns of each row.
Matrix row_softmax(Matrix scores);

/// LayerNorm of each row with `weight` [columns] and, unless it is empty, `bias` [columns].
Matrix layer_norm(const Matrix& x, const Doubles& weight, const Doubles& bias, double eps);

double gelu_tanh(double x);
double gelu_exact(double x);

/// The derivative of `function` at `x` by central differences.
double derivative(const std::function<double(double)>& function, double x);

/// The gradient of `function` at `x` by central differences.
Doubles gradient(const std::function<double(const Matrix&)>& function, Matrix x);

/// The sum of the products of corresponding elements: its gradient by `a` is `b`.
double dot(const Matrix& a, const Matrix& b);

Floats floats(const Doubles& values);
Floats floats(const Bf16s& values);
/// Rounded to the nearest, ties to even.
Bf16s bf16s(const Doubles& values);

/// Values in a precision that kernels read and write, fp32 or bf16.
class Values {
 public:
  Values(Precision precision, const Doubles& values);
  /// Memory for `size` values, none of which is what a kernel should write.
  Values(Precision precision, size_t size);

  kernels::Source source() const;
  kernels::Target target();
  Floats fp32() const;
  bool operator==(const Values& other) const = default;

 private:
  Floats fp32_;
  Bf16s bf16_;
};

/// EXPECT_TRUE(near(actual, expected, tolerance)): |actual - expected| is at most `tolerance` times
/// the largest magnitude that is expected. On failure prints the largest error and its index.
testing::AssertionResult near(const Floats& actual, const Doubles& expected, double tolerance);
/// near() with tolerance_of() the precision.
testing::AssertionResult near(const Values& actual, const Doubles& expected);

/// Tolerances of near(): sums in fp32, and results that are rounded to bf16.
inline constexpr double kFp32Tolerance = 3e-6;
inline constexpr double kBf16Tolerance = 5e-3;
inline constexpr double tolerance_of(Precision precision) {
  return precision == Precision::kBFloat16 ? kBf16Tolerance : kFp32Tolerance;
}

}  // namespace softmoe::test
