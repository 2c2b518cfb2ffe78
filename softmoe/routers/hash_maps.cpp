#include "softmoe/routers/hash_maps.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <queue>
#include <vector>

#include "core/rng.h"
#include "core/tensor_check.h"

namespace softmoe {
namespace {

// Integers of at most 2^16 times integers of at most 2^15 or 2^16, summed over 2^20 pixels, stay
// below the 2^53 up to which fp64 is exact.
constexpr double kUnitsPerPixel = 4096.0;
constexpr double kLargestPixel = 16.0;
constexpr double kLargestNormal = 8.0;

void check_map(int64_t positions, int64_t experts) {
  TORCH_CHECK_VALUE(positions > 0 && experts > 0,
                    "map of positions to experts: both must be positive, found ", positions,
                    " and ", experts);
}

torch::Tensor to_tensor(const std::vector<int64_t>& values) {
  return torch::tensor(values, torch::kInt64);
}

}  // namespace

uint64_t position_hash(int64_t seed, int64_t position) {
  return splitmix64((static_cast<uint64_t>(seed) << 32U) | static_cast<uint64_t>(position));
}

torch::Tensor balanced_map(int64_t positions, int64_t experts, int64_t seed) {
  check_map(positions, experts);
  std::vector<int64_t> order(static_cast<size_t>(positions));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::sort(order.begin(), order.end(), [seed](int64_t a, int64_t b) {
    return position_hash(seed, a) < position_hash(seed, b);
  });
  std::vector<int64_t> expert(order.size());
  for (size_t rank = 0; rank < order.size(); ++rank) {
    expert[static_cast<size_t>(order[rank])] = static_cast<int64_t>(rank) % experts;
  }
  return to_tensor(expert);  // [positions]
}

torch::Tensor modulo_map(int64_t positions, int64_t experts) {
  check_map(positions, experts);
  return torch::arange(positions, torch::kInt64).remainder(experts);  // [positions]
}

torch::Tensor block_map(int64_t positions, int64_t experts) {
  check_map(positions, experts);
  return (torch::arange(positions, torch::kInt64) * experts)
      .div(positions, "floor");  // [positions]
}

torch::Tensor fixed_point(const torch::Tensor& pixels) {
  auto points = pixels.to(torch::kBFloat16).to(torch::kFloat32);  // a copy in any case
  return points.clamp_(-kLargestPixel, kLargestPixel)
      .mul_(kUnitsPerPixel)
      .round_()
      .to(torch::kFloat64);
}

torch::Tensor random_fixed_point(int64_t rows, int64_t columns, uint64_t key) {
  auto values = torch::empty({rows, columns}, torch::kInt64);
  auto* data = values.mutable_data_ptr<int64_t>();
  Rng rng(key);
  for (int64_t i = 0; i < values.numel(); ++i) {
    const double value = std::clamp(rng.normal(), -kLargestNormal, kLargestNormal);
    data[i] = std::llround(value * kUnitsPerPixel);
  }
  return values;  // [rows, columns]
}

torch::Tensor projection_codes(const torch::Tensor& points, const torch::Tensor& projection,
                               const torch::Tensor& threshold) {
  check_shape("projection_codes: points", points, {-1, projection.size(0)});
  check_shape("projection_codes: threshold", threshold, {projection.size(1)});
  const auto bits = points.matmul(projection) > threshold;  // [count, bits]
  const auto values =
      torch::pow(2, torch::arange(bits.size(1), bits.options().dtype(torch::kInt64)));  // [bits]
  return (bits * values).sum(1);                                                        // [count]
}

torch::Tensor deal_codes(const torch::Tensor& counts, int64_t experts) {
  check_shape("deal_codes: counts", counts, {-1});
  check_map(counts.size(0), experts);
  const auto host = counts.to(torch::kCPU, torch::kInt64).clamp_min(1).contiguous();
  const int64_t* count = host.const_data_ptr<int64_t>();
  std::vector<int64_t> order(static_cast<size_t>(host.size(0)));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [count](int64_t a, int64_t b) { return count[a] > count[b]; });
  using Load = std::pair<int64_t, int64_t>;  // and the expert that has it
  std::priority_queue<Load, std::vector<Load>, std::greater<>> loads;
  for (int64_t expert = 0; expert < experts; ++expert) {
    loads.emplace(0, expert);
  }
  std::vector<int64_t> expert_of(order.size());
  for (const int64_t code : order) {
    const auto [load, expert] = loads.top();
    loads.pop();
    expert_of[static_cast<size_t>(code)] = expert;
    loads.emplace(load + count[code], expert);
  }
  return to_tensor(expert_of);  // [codes]
}

}  // namespace softmoe
