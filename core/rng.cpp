#include "core/rng.h"

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

namespace softmoe {
namespace {
constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;
}

uint64_t splitmix64(uint64_t x) {
  x += kGolden;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

uint64_t stream_key(uint64_t seed, std::string_view purpose, uint64_t epoch, uint64_t index) {
  uint64_t key = splitmix64(seed);
  for (const char c : purpose) {
    key = splitmix64(key ^ static_cast<unsigned char>(c));
  }
  key = splitmix64(key ^ epoch);
  return splitmix64(key ^ splitmix64(index));
}

uint64_t Rng::operator()() {
  const uint64_t value = splitmix64(state_);
  state_ += kGolden;
  return value;
}

double Rng::uniform() { return static_cast<double>((*this)() >> 11) * 0x1.0p-53; }

double Rng::uniform(double low, double high) { return low + (high - low) * uniform(); }

int64_t Rng::below(int64_t bound) {
  // The bias of the remainder is below bound / 2^64, too small to matter in any statistic.
  return static_cast<int64_t>((*this)() % static_cast<uint64_t>(bound));
}

double Rng::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

std::vector<int64_t> random_permutation(int64_t count, Rng& rng) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (int64_t last = count - 1; last > 0; --last) {
    std::swap(order[static_cast<size_t>(last)], order[static_cast<size_t>(rng.below(last + 1))]);
  }
  return order;
}

}  // namespace softmoe
