#include "kernels/plain.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

namespace softmoe::test {
namespace {

constexpr double kStep = 1e-5;  // of central differences

kernels::Bf16 round_to_bf16(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  if (std::isnan(value)) {
    return static_cast<kernels::Bf16>((bits >> 16) | 0x40U);
  }
  const uint32_t is_odd = (bits >> 16) & 1U;
  return static_cast<kernels::Bf16>((bits + 0x7FFFU + is_odd) >> 16);
}

float widened(kernels::Bf16 value) {
  const uint32_t bits = static_cast<uint32_t>(value) << 16;
  float result = 0.0F;
  std::memcpy(&result, &bits, sizeof(result));
  return result;
}

}  // namespace

Matrix Matrix::transposed() const {
  Matrix result(columns, rows);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      result.at(column, row) = at(row, column);
    }
  }
  return result;
}

Matrix Matrix::slice(int64_t first, int64_t last) const {
  Matrix result(rows, last - first);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = first; column < last; ++column) {
      result.at(row, column - first) = at(row, column);
    }
  }
  return result;
}

Matrix operator*(const Matrix& a, const Matrix& b) {
  Matrix result(a.rows, b.columns);
  for (int64_t row = 0; row < a.rows; ++row) {
    for (int64_t index = 0; index < a.columns; ++index) {
      for (int64_t column = 0; column < b.columns; ++column) {
        result.at(row, column) += a.at(row, index) * b.at(index, column);
      }
    }
  }
  return result;
}

Matrix operator+(Matrix a, const Matrix& b) {
  std::transform(a.values.begin(), a.values.end(), b.values.begin(), a.values.begin(),
                 std::plus<>());
  return a;
}

Matrix random_matrix(int64_t rows, int64_t columns, uint32_t seed, double factor) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal(0.0, factor);
  Matrix result(rows, columns);
  for (auto& value : result.values) {
    value = widened(round_to_bf16(static_cast<float>(normal(generator))));
  }
  return result;
}

Matrix row_softmax(Matrix scores) {
  for (int64_t row = 0; row < scores.rows; ++row) {
    double largest = scores.at(row, 0);
    for (int64_t column = 1; column < scores.columns; ++column) {
      largest = std::max(largest, scores.at(row, column));
    }
    double sum = 0.0;
    for (int64_t column = 0; column < scores.columns; ++column) {
      scores.at(row, column) = std::exp(scores.at(row, column) - largest);
      sum += scores.at(row, column);
    }
    for (int64_t column = 0; column < scores.columns; ++column) {
      scores.at(row, column) /= sum;
    }
  }
  return scores;
}

Matrix layer_norm(const Matrix& x, const Doubles& weight, const Doubles& bias, double eps) {
  Matrix result(x.rows, x.columns);
  const auto count = static_cast<double>(x.columns);
  for (int64_t row = 0; row < x.rows; ++row) {
    double mean = 0.0;
    double variance = 0.0;
    for (int64_t column = 0; column < x.columns; ++column) {
      mean += x.at(row, column) / count;
    }
    for (int64_t column = 0; column < x.columns; ++column) {
      variance += (x.at(row, column) - mean) * (x.at(row, column) - mean) / count;
    }
    for (int64_t column = 0; column < x.columns; ++column) {
      const auto index = static_cast<size_t>(column);
      result.at(row, column) =
          (x.at(row, column) - mean) / std::sqrt(variance + eps) * weight[index] +
          (bias.empty() ? 0.0 : bias[index]);
    }
  }
  return result;
}

double gelu_tanh(double x) {
  const double inner = std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x);
  return 0.5 * x * (1.0 + std::tanh(inner));
}

double gelu_exact(double x) { return 0.5 * x * (1.0 + std::erf(x / std::sqrt(2.0))); }

double derivative(const std::function<double(double)>& function, double x) {
  return (function(x + kStep) - function(x - kStep)) / (2.0 * kStep);
}

Doubles gradient(const std::function<double(const Matrix&)>& function, Matrix x) {
  Doubles result(x.values.size());
  for (size_t index = 0; index < x.values.size(); ++index) {
    const double value = x.values[index];
    x.values[index] = value + kStep;
    const double above = function(x);
    x.values[index] = value - kStep;
    const double below = function(x);
    x.values[index] = value;
    result[index] = (above - below) / (2.0 * kStep);
  }
  return result;
}

double dot(const Matrix& a, const Matrix& b) {
  double sum = 0.0;
  for (size_t index = 0; index < a.values.size(); ++index) {
    sum += a.values[index] * b.values[index];
  }
  return sum;
}

Floats floats(const Doubles& values) { return Floats(values.begin(), values.end()); }

Floats floats(const Bf16s& values) {
  Floats result(values.size());
  std::transform(values.begin(), values.end(), result.begin(), widened);
  return result;
}

Bf16s bf16s(const Doubles& values) {
  Bf16s result(values.size());
  std::transform(values.begin(), values.end(), result.begin(),
                 [](double value) { return round_to_bf16(static_cast<float>(value)); });
  return result;
}

Values::Values(Precision precision, const Doubles& values) {
  if (precision == Precision::kBFloat16) {
    bf16_ = bf16s(values);
  } else {
    fp32_ = floats(values);
  }
}

Values::Values(Precision precision, size_t size) : Values(precision, Doubles(size, std::nan(""))) {}

kernels::Source Values::source() const {
  return bf16_.empty() ? kernels::Source{.fp32 = fp32_.data()}
                       : kernels::Source{.bf16 = bf16_.data()};
}

kernels::Target Values::target() {
  return bf16_.empty() ? kernels::Target{.fp32 = fp32_.data()}
                       : kernels::Target{.bf16 = bf16_.data()};
}

Floats Values::fp32() const { return bf16_.empty() ? fp32_ : floats(bf16_); }

testing::AssertionResult near(const Values& actual, const Doubles& expected) {
  const auto precision =
      actual.source().bf16 != nullptr ? Precision::kBFloat16 : Precision::kFloat32;
  return near(actual.fp32(), expected, tolerance_of(precision));
}

testing::AssertionResult near(const Floats& actual, const Doubles& expected, double tolerance) {
  if (actual.size() != expected.size()) {
    return testing::AssertionFailure() << actual.size() << " values instead of " << expected.size();
  }
  double largest = 0.0;
  for (const double value : expected) {
    largest = std::max(largest, std::abs(value));
  }
  size_t worst = 0;
  double worst_error = 0.0;
  for (size_t index = 0; index < expected.size(); ++index) {
    const double error = std::abs(actual[index] - expected[index]);
    if (!(error <= worst_error)) {  // also for NaN
      worst = index;
      worst_error = error;
    }
  }
  if (worst_error <= tolerance * largest) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure()
         << "largest error " << worst_error << " (allowed " << tolerance * largest << ") at "
         << worst << ": " << actual[worst] << " instead of " << expected[worst];
}

}  // namespace softmoe::test
