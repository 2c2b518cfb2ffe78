#include "eval/few_shot_draws.h"

#include <set>

#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

TEST(FewShotDraws, SubsetsAreNestedAndSmallClassesGiveAllTheyHave) {
  const auto labels = torch::tensor({0, 1, 0, 2, 0, 1, 0, 0, 2, 0, 0}, torch::kInt64);
  const auto indices = shuffled_class_indices(labels, 3, /*seed=*/5, /*draw=*/0);
  std::set<int64_t> previous;
  for (const int64_t shots : {1, 2, 5, 25}) {
    const auto subset = few_shot_subset(indices, shots);
    const int64_t expected[] = {std::min<int64_t>(shots, 7), std::min<int64_t>(shots, 2),
                                std::min<int64_t>(shots, 2)};
    const auto counts = labels.index_select(0, subset).bincount({}, /*minlength=*/3);
    EXPECT_TRUE(test::same_bits(
        counts, torch::tensor({expected[0], expected[1], expected[2]}, torch::kInt64)));
    std::set<int64_t> members;
    for (int64_t i = 0; i < subset.size(0); ++i) {
      members.insert(subset[i].item<int64_t>());
    }
    EXPECT_EQ(static_cast<int64_t>(members.size()), subset.size(0));
    EXPECT_TRUE(std::includes(members.begin(), members.end(), previous.begin(), previous.end()));
    previous = members;
  }
}

TEST(FewShotDraws, SubsetsDependOnSeedAndDrawAlone) {
  const auto labels = torch::arange(200, torch::kInt64).remainder(4);
  const auto subset = [&labels](uint64_t seed, uint64_t draw) {
    return few_shot_subset(shuffled_class_indices(labels, 4, seed, draw), 10);
  };
  EXPECT_TRUE(subset(1, 0).equal(subset(1, 0)));
  EXPECT_FALSE(subset(1, 0).equal(subset(1, 1)));
  EXPECT_FALSE(subset(1, 0).equal(subset(2, 0)));
  // A class's order does not depend on how many classes there are.
  const auto alone = shuffled_class_indices(labels.masked_fill(labels.ne(0), 1), 2, 1, 0);
  EXPECT_TRUE(alone[0].equal(shuffled_class_indices(labels, 4, 1, 0)[0]));
}

}  // namespace
}  // namespace softmoe
