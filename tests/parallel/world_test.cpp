#include "parallel/world.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "parallel/core_share.h"
#include "parallel/ranks.h"
#include "support/tensor_matcher.h"

namespace softmoe::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(World, OfOneProcessGivesBackWhatItGets) {
  const World world;
  EXPECT_TRUE(world.is_alone() && world.is_first());
  EXPECT_EQ(world.size(), 1);
  const auto values = torch::arange(3.0);  // [3]
  world.sum(values);
  world.broadcast({values});
  EXPECT_TRUE(torch::equal(values, torch::arange(3.0)));
  EXPECT_THAT(world.gather_texts("a"), ElementsAre("a"));
  EXPECT_TRUE(world.any(true));
  EXPECT_GE(cores_of_process(world), 1);
}

TEST(World, SumsAndBroadcastsTensorsOfAllRanks) {
  const auto errors = run_ranks(3, [](const World& world) {
    const auto rank = static_cast<double>(world.rank());
    const auto sum = torch::full({2, 5}, rank + 1);  // [2, 5]
    world.sum(sum);
    EXPECT_TRUE(torch::equal(sum, torch::full({2, 5}, 6.0)));
    const auto floats = torch::full({4}, rank);                         // [4]
    const auto numbers = torch::full({}, world.rank(), torch::kInt64);  // []
    const auto others = torch::full({3, 2}, rank + 10);                 // [3, 2]
    world.broadcast({floats, numbers, others});
    EXPECT_TRUE(torch::equal(floats, torch::zeros({4})));
    EXPECT_EQ(numbers.item<int64_t>(), 0);
    EXPECT_TRUE(torch::equal(others, torch::full({3, 2}, 10.0)));
  });
  EXPECT_EQ(errors, no_errors(3));
}

TEST(World, GathersRowsOfDifferentCountsInTheOrderOfRanks) {
  const auto errors = run_ranks(3, [](const World& world) {
    const auto rows = torch::full({2 * world.rank(), 3}, world.rank(), torch::kInt64);
    const auto all = world.gather(rows);  // [6, 3]
    EXPECT_TRUE(torch::equal(all.select(1, 0), torch::tensor({1, 1, 2, 2, 2, 2}, torch::kInt64)));
    EXPECT_THAT(world.gather_texts(std::string(static_cast<size_t>(world.rank()), 'x')),
                ElementsAre("", "x", "xx"));
    EXPECT_EQ(world.text_of_first("from " + std::to_string(world.rank())), "from 0");
    EXPECT_EQ(world.number_of_first(0.1 + static_cast<double>(world.rank())), 0.1);
    EXPECT_TRUE(world.any(world.rank() == 2));
    EXPECT_FALSE(world.any(false));
  });
  EXPECT_EQ(errors, no_errors(3));
}

TEST(World, ARankThatFailsEndsTheOthersWithItsError) {
  const auto errors = run_ranks(3, [](const World& world) {
    if (world.rank() == 1) {
      world.announce("the disk is full");
      throw InputError("the disk is full");
    }
    world.any(false);
  });
  EXPECT_THAT(errors, ElementsAre("rank 1 ended: the disk is full", "the disk is full",
                                  "rank 1 ended: the disk is full"));
}

TEST(World, TheRankThatKeepsTheStoreTellsTheOthersBeforeItEnds) {
  const auto errors = run_ranks(2, [](const World& world) {
    if (world.is_first()) {
      world.announce("no data");
      throw InputError("no data");
    }
    world.any(false);
  });
  EXPECT_THAT(errors, ElementsAre("no data", "rank 0 ended: no data"));
}

TEST(World, IsOnTheCpu) {
  WorldEnvironment environment;
  environment.size = 2;
  EXPECT_THROW(World::join(environment, torch::Device("cuda:0")), UsageError);
}

TEST(World, HasGroupsThatExchangeAmongThemselves) {
  const auto errors = run_ranks(4, [](const World& world) {
    const bool is_low = world.rank() < 2;
    const auto pair = world.group(is_low ? std::vector<int64_t>{0, 1} : std::vector<int64_t>{2, 3});
    const bool is_even = world.rank() % 2 == 0;
    const auto same =
        world.group(is_even ? std::vector<int64_t>{0, 2} : std::vector<int64_t>{1, 3});
    const auto alone = world.group({world.rank()});
    EXPECT_EQ(pair.rank(), world.rank() % 2);
    EXPECT_EQ(same.rank(), world.rank() / 2);
    EXPECT_TRUE(alone.is_alone());
    const auto value = torch::full({2}, static_cast<double>(world.rank()));
    pair.sum(value);
    EXPECT_TRUE(torch::equal(value, torch::full({2}, is_low ? 1.0 : 5.0)));
    same.sum(value);
    EXPECT_TRUE(torch::equal(value, torch::full({2}, 6.0)));
    EXPECT_EQ(world.traffic().summed, 2 * 8);
    EXPECT_THROW(world.group({world.rank() + 1}), c10::ValueError);
  });
  EXPECT_EQ(errors, no_errors(4));
}

}  // namespace
}  // namespace softmoe::test
