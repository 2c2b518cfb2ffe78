#include "softmoe/routers/hash_maps.h"

#include "core/split_text.h"
#include "io/npz.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe::hash_maps_test {

using test::fixture;
using test::same_bits;

const NamedTensors& cases() {
  static const NamedTensors arrays = read_npz(fixture("routers/hash.npz"));
  return arrays;
}

/// The numbers in names such as "balanced_196_16_7".
std::vector<int64_t> numbers_of(const std::string& name) {
  std::vector<int64_t> numbers;
  for (const auto& word : split_text(name, '_')) {
    if (word.find_first_not_of("0123456789") == std::string::npos) {
      numbers.push_back(std::stoll(word));
    }
  }
  return numbers;
}

/// Calls `check` with each array of the fixture whose name starts with `prefix`, and its numbers.
template <typename Check>
void for_each_case(const std::string& prefix, const Check& check) {
  int count = 0;
  for (const auto& [name, expected] : cases()) {
    if (name.starts_with(prefix)) {
      SCOPED_TRACE(name);
      check(numbers_of(name), expected.to(torch::kInt64));
      ++count;
    }
  }
  EXPECT_GE(count, 1) << prefix;
}

torch::Tensor loads(const torch::Tensor& map, int64_t experts) {
  return torch::bincount(map, {}, experts);
}

TEST(HashMaps, PositionsHashAsInTheReference) {
  for_each_case("random_", [](const std::vector<int64_t>& numbers, const torch::Tensor& expected) {
    ASSERT_EQ(numbers.size(), 3U);
    ASSERT_EQ(expected.size(0), numbers[0]);
    for (int64_t position = 0; position < numbers[0]; ++position) {
      EXPECT_EQ(static_cast<int64_t>(position_hash(numbers[2], position) %
                                     static_cast<uint64_t>(numbers[1])),
                expected[position].item<int64_t>())
          << position;
    }
  });
  const auto first =
      npz_array(cases(), "splitmix64_first8_of_seed42", "routers/hash.npz").view(torch::kInt64);
  for (int64_t i = 0; i < 8; ++i) {
    EXPECT_EQ(static_cast<int64_t>(position_hash(42, i)), first[i].item<int64_t>());
  }
}

TEST(HashMaps, BalancedModuloAndBlockMapsEqualTheReference) {
  for_each_case("balanced_", [](const std::vector<int64_t>& numbers, const auto& expected) {
    ASSERT_EQ(numbers.size(), 3U);
    EXPECT_TRUE(same_bits(balanced_map(numbers[0], numbers[1], numbers[2]), expected));
  });
  for_each_case("modulo_", [](const std::vector<int64_t>& numbers, const auto& expected) {
    EXPECT_TRUE(same_bits(modulo_map(numbers[0], numbers[1]), expected));
  });
  for_each_case("block_", [](const std::vector<int64_t>& numbers, const auto& expected) {
    EXPECT_TRUE(same_bits(block_map(numbers[0], numbers[1]), expected));
  });
}

TEST(HashMaps, ProjectionCodesEqualTheReference) {
  const auto at = [](const char* name) { return npz_array(cases(), name, "routers/hash.npz"); };
  const auto patches = at("lsh_patches").flatten(0, 1);              // [count, pixels]
  const auto projection = at("lsh_projection").to(patches.dtype());  // [pixels, bits]
  const auto threshold = torch::zeros({projection.size(1)}, patches.options());
  EXPECT_TRUE(same_bits(projection_codes(patches, projection, threshold),
                        at("lsh_bucket").flatten().to(torch::kInt64)));
}

TEST(HashMaps, ThresholdsShiftProjections) {
  const auto points = torch::tensor({{1.0, 5.0}, {3.0, 5.0}, {4.0, -1.0}}, torch::kFloat64);
  const auto identity = torch::eye(2, torch::kFloat64);
  EXPECT_TRUE(
      same_bits(projection_codes(points, identity, torch::tensor({3.0, 0.0}, torch::kFloat64)),
                torch::tensor({2, 2, 1}, torch::kInt64)));
}

TEST(HashMaps, LoadsDifferByOneAtMost) {
  for (const auto& [positions, experts] :
       {std::pair<int64_t, int64_t>{197, 16}, {49, 7}, {5, 9}, {1, 1}}) {
    for (const auto& map : {balanced_map(positions, experts, 3), modulo_map(positions, experts),
                            block_map(positions, experts)}) {
      const auto load = loads(map, experts);
      ASSERT_EQ(load.size(0), experts);
      EXPECT_LE((load.max() - load.min()).item<int64_t>(), 1) << positions << ", " << experts;
    }
  }
}

TEST(HashMaps, SeedsGiveDifferentBalancedMaps) {
  EXPECT_FALSE(balanced_map(196, 16, 0).equal(balanced_map(196, 16, 1)));
  EXPECT_TRUE(balanced_map(196, 16, 1).equal(balanced_map(196, 16, 1)));
}

TEST(HashMaps, MapsOfNothingAreRefused) {
  EXPECT_THROW(balanced_map(0, 3, 0), c10::ValueError);
  EXPECT_THROW(modulo_map(4, 0), c10::ValueError);
  EXPECT_THROW(block_map(-1, 2), c10::ValueError);
}

TEST(HashMaps, FixedPointIsTheSameForEveryPrecisionOfThePixels) {
  torch::manual_seed(3);
  const auto pixels = torch::rand({7, 5}) * 2 - 1;
  const auto points = fixed_point(pixels);
  EXPECT_TRUE(same_bits(fixed_point(pixels.to(torch::kBFloat16)), points));
  EXPECT_TRUE(same_bits(fixed_point(pixels.to(torch::kFloat64)), points));
  EXPECT_TRUE(points.equal(points.round()));
  EXPECT_TRUE(test::all_close(points / 4096, pixels.to(torch::kFloat64), {.absolute = 3e-3}));
  EXPECT_EQ(fixed_point(torch::tensor({1e9F})).item<double>(), 65536.0);
  EXPECT_EQ(fixed_point(torch::tensor({-100.0F})).item<double>(), -65536.0);
}

TEST(HashMaps, NeighbouringGrayLevelsStayApartInFixedPoint) {
  const auto levels = torch::arange(256).to(torch::kFloat32) / 255 * 2 - 1;
  const auto points = fixed_point(levels);
  EXPECT_GT((points.slice(0, 1) - points.slice(0, 0, 255)).min().item<double>(), 0.0);
}

TEST(HashMaps, RandomFixedPointIsStandardNormal) {
  const auto values = random_fixed_point(300, 101, 5).to(torch::kFloat64) / 4096;
  EXPECT_NEAR(values.mean().item<double>(), 0.0, 0.02);
  EXPECT_NEAR(values.std().item<double>(), 1.0, 0.02);
  EXPECT_TRUE(random_fixed_point(4, 3, 5).equal(random_fixed_point(4, 3, 5)));
  EXPECT_FALSE(random_fixed_point(4, 3, 5).equal(random_fixed_point(4, 3, 6)));
}

TEST(HashMaps, FrequentCodesAreDealtFirst) {
  // 10 to expert 0, 9 to 1, 5 to 2, 4 to 2, 3 to 1 (9 each: the lower expert),
  // the unseen one to 2, 1 to 0.
  const auto map = deal_codes(torch::tensor({3, 10, 0, 5, 4, 9, 1}, torch::kInt64), 3);
  EXPECT_TRUE(same_bits(map, torch::tensor({1, 0, 2, 2, 2, 1, 0}, torch::kInt64)));
}

TEST(HashMaps, DealingBalancesSkewedCodes) {
  std::vector<int64_t> counts;
  for (int64_t code = 1; code <= 200; ++code) {
    counts.push_back(20000 / code);
  }
  const auto count = torch::tensor(counts, torch::kInt64);
  const int64_t experts = 5;
  const auto load = [&](const torch::Tensor& map) {
    return torch::zeros({experts}, torch::kInt64).scatter_add(0, map, count);
  };
  const auto dealt = load(deal_codes(count, experts));
  EXPECT_EQ(dealt.sum().item<int64_t>(), count.sum().item<int64_t>());
  EXPECT_LE((dealt.max() - dealt.min()).item<int64_t>(), 100);
  const auto modulo = load(modulo_map(200, experts));
  EXPECT_GT((modulo.max() - modulo.min()).item<int64_t>(), 10000);
}

TEST(HashMaps, UnseenCodesSpreadOverExperts) {
  const auto map = deal_codes(torch::zeros({12}, torch::kInt64), 4);
  EXPECT_TRUE(same_bits(loads(map, 4), torch::full({4}, 3, torch::kInt64)));
}

}  // namespace softmoe::hash_maps_test
