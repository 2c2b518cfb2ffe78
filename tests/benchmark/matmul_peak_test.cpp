#include "benchmark/matmul_peak.h"

#include <ATen/ops/_int_mm.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <functional>

namespace softmoe {
namespace {

/// GFLOP/s of the second of two products.
double gflops_of(const std::function<void()>& product, double operations) {
  product();
  const auto start = std::chrono::steady_clock::now();
  product();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  return operations / 1e9 / elapsed.count();
}

TEST(MatmulPeak, IsNotBeatenByMuch) {
  const double operations = 2 * std::pow(512.0, 3);
  const auto floats = torch::randn({512, 512}, torch::kBFloat16);
  EXPECT_GT(measure_matmul_peak(torch::kCPU, torch::kBFloat16),
            0.2 * gflops_of([&] { floats.matmul(floats); }, operations));
  const auto bytes = torch::randint(-128, 128, {512, 512}, torch::kInt8);
  EXPECT_GT(measure_matmul_peak(torch::kCPU, torch::kInt8),
            0.2 * gflops_of([&] { at::_int_mm(bytes, bytes); }, operations));
}

}  // namespace
}  // namespace softmoe
