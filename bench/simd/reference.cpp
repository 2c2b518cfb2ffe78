#include "bench/simd/reference.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <new>
#include <string>

namespace softmoe::simd {
namespace {

void compare(double expected, float found, double tolerance, const std::string& what) {
  if (!(std::abs(expected - static_cast<double>(found)) <= tolerance)) {
    throw std::runtime_error(what + " is " + std::to_string(found) + " instead of " +
                             std::to_string(expected));
  }
}

}  // namespace

Buffer::Buffer(int64_t count) {
  constexpr size_t kPage = 4096;
  const size_t bytes = (static_cast<size_t>(count) * sizeof(float) + kPage - 1) / kPage * kPage;
  data_ = static_cast<float*>(std::aligned_alloc(kPage, bytes));
  if (data_ == nullptr) {
    throw std::bad_alloc();
  }
  std::fill_n(data_, count, 0.0F);
}

Buffer::~Buffer() { std::free(data_); }

void fill(float* values, int64_t count, uint32_t seed) {
  uint32_t state = seed * 2654435761U + 1;
  for (int64_t index = 0; index < count; ++index) {
    state = state * 1664525U + 1013904223U;
    values[index] = static_cast<float>(static_cast<int32_t>(state)) * 0x1p-31F;
  }
}

void pack_panels(const float* matrix, int64_t depth, int64_t columns, int64_t panel_columns,
                 float* panels) {
  for (int64_t panel = 0; panel < columns; panel += panel_columns) {
    for (int64_t index = 0; index < depth; ++index) {
      std::copy_n(matrix + index * columns + panel, panel_columns,
                  panels + panel * depth + index * panel_columns);
    }
  }
}

void check_product(const ProductSizes& sizes, const float* a, const float* matrix,
                   const float* out) {
  const auto [rows, depth, columns] = sizes;
  std::vector<double> expected(static_cast<size_t>(columns));
  for (int64_t row = 0; row < rows; row += row + 8 < rows ? (rows + 15) / 16 : 1) {
    std::fill(expected.begin(), expected.end(), 0.0);
    for (int64_t index = 0; index < depth; ++index) {
      const double left = a[row * depth + index];
      for (int64_t column = 0; column < columns; ++column) {
        expected[static_cast<size_t>(column)] += left * matrix[index * columns + column];
      }
    }
    for (int64_t column = 0; column < columns; ++column) {
      compare(expected[static_cast<size_t>(column)], out[row * columns + column],
              1e-5 * std::sqrt(static_cast<double>(depth)), "an element of a product");
    }
  }
}

void check_attention(const Head& head) {
  std::vector<double> weights(static_cast<size_t>(head.tokens));
  for (int64_t row = 0; row < head.tokens; ++row) {
    for (int64_t token = 0; token < head.tokens; ++token) {
      double score = 0;
      for (int64_t index = 0; index < head.head_dim; ++index) {
        score += static_cast<double>(head.q[row * head.stride + index]) *
                 static_cast<double>(head.k[token * head.stride + index]);
      }
      weights[static_cast<size_t>(token)] = score / std::sqrt(static_cast<double>(head.head_dim));
    }
    const double highest = *std::max_element(weights.begin(), weights.end());
    double sum = 0;
    for (double& weight : weights) {
      weight = std::exp(weight - highest);
      sum += weight;
    }
    for (int64_t index = 0; index < head.head_dim; ++index) {
      double expected = 0;
      for (int64_t token = 0; token < head.tokens; ++token) {
        expected += weights[static_cast<size_t>(token)] / sum * head.v[token * head.stride + index];
      }
      compare(expected, head.out[row * head.stride + index], 1e-5, "an element of attention");
    }
  }
}

}  // namespace softmoe::simd
