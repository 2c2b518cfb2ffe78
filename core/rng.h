#pragma once
/// Random streams keyed by their purpose, not by the order of drawing: one (seed, purpose, epoch,
/// index) gives the same numbers for any number of workers or processes, and a resumed run needs no
/// saved generator state.

#include <cstdint>
#include <string_view>
#include <vector>

namespace softmoe {

/// One step of splitmix64 (Steele et al., 2014): a bijection that scatters `x` over 64 bits.
uint64_t splitmix64(uint64_t x);

/// The key of a stream; different arguments give unrelated keys.
uint64_t stream_key(uint64_t seed, std::string_view purpose, uint64_t epoch = 0,
                    uint64_t index = 0);

/// A small counter-based generator for data and augmentation (libtorch has its own).
class Rng {
 public:
  using result_type = uint64_t;

  explicit Rng(uint64_t key) : state_(key) {}

  static constexpr uint64_t min() { return 0; }
  static constexpr uint64_t max() { return ~uint64_t{0}; }
  uint64_t operator()();

  /// Uniform in [0, 1).
  double uniform();
  /// Uniform in [low, high).
  double uniform(double low, double high);
  /// Uniform integer in [0, bound); `bound` must be positive.
  int64_t below(int64_t bound);
  /// Standard normal.
  double normal();

 private:
  uint64_t state_;
};

/// A uniformly random order of 0 .. count - 1.
std::vector<int64_t> random_permutation(int64_t count, Rng& rng);

}  // namespace softmoe
