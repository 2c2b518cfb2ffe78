#include "softmoe/assignment/top_indices.h"

#include <set>

#include "runtime/device.h"
#include "support/tensor_matcher.h"

namespace softmoe::top_indices_test {

using test::same_bits;

torch::Tensor by_stable_sort(const torch::Tensor& scores, int64_t count) {
  return std::get<1>(scores.sort(/*stable=*/true, /*dim=*/-1, /*descending=*/true))
      .narrow(-1, 0, count)
      .contiguous();
}

TEST(TopIndices, AreTheLowestAmongEqualScores) {
  const auto scores =
      torch::tensor({{1.0, 3.0, 3.0, 0.0, 3.0, 1.0}, {2.0, 2.0, 2.0, 2.0, 2.0, 2.0}});
  const auto expected = torch::tensor({{1, 2, 4, 0}, {0, 1, 2, 3}}, torch::kInt64);
  EXPECT_TRUE(same_bits(top_indices(scores, 4), expected));
  EXPECT_TRUE(same_bits(top_indices(torch::tensor({0.0, -0.0, 0.0}), 2),
                        torch::tensor({0, 1}, torch::kInt64)));
}

/// Few values, so most rows have ties at the threshold.
TEST(TopIndices, EqualAStableSortWhateverTheSizesAndTheDtype) {
  for (const auto& device : present_devices()) {
    torch::manual_seed(3);
    for (const auto dtype : {torch::kFloat32, torch::kFloat64, torch::kBFloat16}) {
      for (const int64_t size : {1, 2, 37, 500}) {
        const auto scores = torch::randint(0, 9, {3, 41, size}).to(dtype) - 4;
        for (const int64_t count : std::set<int64_t>{1, 2, std::min<int64_t>(17, size), size}) {
          if (count <= size) {
            EXPECT_TRUE(same_bits(top_indices(scores.to(device), count).cpu(),
                                  by_stable_sort(scores, count)))
                << size << ", " << count << ", " << dtype << ", " << device;
          }
        }
      }
    }
  }
}

TEST(TopIndices, TakeRowsThatAreNotContiguous) {
  torch::manual_seed(4);
  const auto scores = torch::randn({7, 5, 11}).transpose(1, 2);
  EXPECT_TRUE(same_bits(top_indices(scores, 3), by_stable_sort(scores, 3)));
}

TEST(TopIndices, AreDistinctAndInRangeWhereScoresAreNotNumbers) {
  const double nan = std::nan("");
  const double inf = std::numeric_limits<double>::infinity();
  const auto scores = torch::tensor(
      {{nan, nan, nan, nan, nan}, {nan, 1.0, nan, 2.0, -inf}, {-inf, -inf, nan, inf, inf}});
  for (int64_t count = 1; count <= 5; ++count) {
    const auto indices = top_indices(scores, count);
    for (int64_t row = 0; row < 3; ++row) {
      std::set<int64_t> seen;
      for (int64_t rank = 0; rank < count; ++rank) {
        seen.insert(indices[row][rank].item<int64_t>());
      }
      EXPECT_EQ(static_cast<int64_t>(seen.size()), count);
      EXPECT_GE(*seen.begin(), 0);
      EXPECT_LT(*seen.rbegin(), 5);
    }
  }
}

TEST(TopIndices, RefuseMoreThanARowHas) {
  EXPECT_THROW(top_indices(torch::zeros({2, 5}), 6), c10::ValueError);
  EXPECT_THROW(top_indices(torch::zeros({2, 5}), 0), c10::ValueError);
  EXPECT_THROW(top_indices(torch::zeros({}), 1), c10::ValueError);
}

}  // namespace softmoe::top_indices_test
