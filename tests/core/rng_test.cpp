#include "core/rng.h"

#include <gmock/gmock.h>

#include <numeric>
#include <set>

namespace softmoe {
namespace {

TEST(Splitmix64, GivesThePublishedSequence) {
  // The first outputs of the reference generator from seed 1234567.
  Rng rng(1234567);
  EXPECT_EQ(rng(), 6457827717110365317U);
  EXPECT_EQ(rng(), 3203168211198807973U);
  EXPECT_EQ(rng(), 9817491932198370423U);
}

TEST(StreamKey, DependsOnEveryArgument) {
  const std::set<uint64_t> keys{stream_key(1, "crop", 2, 3), stream_key(2, "crop", 2, 3),
                                stream_key(1, "flip", 2, 3), stream_key(1, "crop", 3, 2),
                                stream_key(1, "crop", 2, 4), stream_key(1, "crop", 0, 3),
                                stream_key(1, "", 2, 3),     stream_key(1, "crop\1", 2, 3)};
  EXPECT_EQ(keys.size(), 8U);
  EXPECT_EQ(stream_key(1, "crop", 2, 3), stream_key(1, "crop", 2, 3));
}

TEST(StreamKey, HasNoCollisionAmongNeighbours) {
  std::set<uint64_t> keys;
  for (uint64_t epoch = 0; epoch < 30; ++epoch) {
    for (uint64_t index = 0; index < 1000; ++index) {
      keys.insert(stream_key(0, "augment", epoch, index));
    }
  }
  EXPECT_EQ(keys.size(), 30'000U);
}

TEST(Rng, IsUniformOverStreamsOfNeighbouringKeys) {
  // The first draw of each sample's stream is what most augmentations use.
  constexpr int kDraws = 20'000;
  double sum = 0;
  double square = 0;
  for (uint64_t index = 0; index < kDraws; ++index) {
    Rng rng(stream_key(3, "crop", 1, index));
    const double value = rng.uniform();
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    sum += value;
    square += value * value;
  }
  EXPECT_NEAR(sum / kDraws, 0.5, 0.01);
  EXPECT_NEAR(square / kDraws, 1.0 / 3, 0.01);
}

TEST(Rng, DrawsNormalsOfUnitVariance) {
  constexpr int kDraws = 40'000;
  Rng rng(5);
  double sum = 0;
  double square = 0;
  double fourth = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double value = rng.normal();
    sum += value;
    square += value * value;
    fourth += value * value * value * value;
  }
  EXPECT_NEAR(sum / kDraws, 0.0, 0.02);
  EXPECT_NEAR(square / kDraws, 1.0, 0.03);
  EXPECT_NEAR(fourth / kDraws, 3.0, 0.25);
}

TEST(Rng, StaysWithinItsRanges) {
  Rng rng(9);
  std::set<int64_t> seen;
  for (int i = 0; i < 500; ++i) {
    const double value = rng.uniform(-2.0, 3.0);
    ASSERT_GE(value, -2.0);
    ASSERT_LT(value, 3.0);
    seen.insert(rng.below(7));
  }
  EXPECT_THAT(seen, testing::ElementsAre(0, 1, 2, 3, 4, 5, 6));
}

TEST(RandomPermutation, HoldsEachIndexOnceInADifferentOrderPerKey) {
  Rng first(1);
  Rng again(1);
  Rng second(2);
  const auto order = random_permutation(101, first);
  EXPECT_EQ(order, random_permutation(101, again));
  EXPECT_NE(order, random_permutation(101, second));
  auto sorted = order;
  std::sort(sorted.begin(), sorted.end());
  std::vector<int64_t> all(101);
  std::iota(all.begin(), all.end(), int64_t{0});
  EXPECT_EQ(sorted, all);
  EXPECT_NE(order, all);
}

TEST(RandomPermutation, IsUniformOverAllOrders) {
  std::map<std::vector<int64_t>, int> counts;
  for (uint64_t seed = 0; seed < 6000; ++seed) {
    Rng rng(stream_key(seed, "shuffle"));
    ++counts[random_permutation(3, rng)];
  }
  ASSERT_EQ(counts.size(), 6U);
  for (const auto& [order, count] : counts) {
    EXPECT_NEAR(count, 1000, 150);
  }
}

}  // namespace
}  // namespace softmoe
