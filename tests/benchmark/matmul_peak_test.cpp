#include "benchmark/matmul_peak.h"

#include <ATen/ops/_int_mm.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <thread>
#include <vector>

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

/// A product that takes 4 ms for edge 64 and eight times as long for an edge twice as long, which
/// notes its edges.
MatmulProduct slow_product(int64_t edge, std::vector<int64_t>& edges) {
  edges.push_back(edge);
  return [edge] {
    std::this_thread::sleep_for(std::chrono::milliseconds(4 * edge * edge * edge / (64 * 64 * 64)));
    return torch::Tensor();
  };
}

TEST(FastestProduct, GrowsOnlyAsFarAsTimeAllows) {
  std::vector<int64_t> edges;
  const double gflops = fastest_product([&](int64_t edge) { return slow_product(edge, edges); },
                                        torch::kCPU, /*seconds=*/0.4);
  // A run with edge 128 takes 32 ms, one with edge 256 takes 256 ms.
  EXPECT_EQ(edges, (std::vector<int64_t>{64, 128}));
  EXPECT_LE(gflops, 2 * std::pow(64.0, 3) / 4e-3 / 1e9);
  EXPECT_GT(gflops, 0);
}

TEST(FastestProduct, IsZeroIfThereIsNone) {
  EXPECT_EQ(fastest_product([](int64_t) { return MatmulProduct(); }, torch::kCPU, 1), 0);
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
