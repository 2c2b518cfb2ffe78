#include "datasets/ordered_work.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <stdexcept>
#include <vector>

namespace softmoe {
namespace {

TEST(OrderedWork, ConsumesInOrderWhateverTheWorkers) {
  for (const int64_t workers : {0, 1, 4}) {
    std::vector<int64_t> squares(3);
    std::vector<int64_t> consumed;
    for_each_in_order(
        50, workers, 3,
        [&](int64_t index, int64_t place) { squares[static_cast<size_t>(place)] = index * index; },
        [&](int64_t index, int64_t place) {
          EXPECT_EQ(squares[static_cast<size_t>(place)], index * index);
          consumed.push_back(index);
        });
    ASSERT_EQ(consumed.size(), 50U) << workers;
    EXPECT_TRUE(std::is_sorted(consumed.begin(), consumed.end())) << workers;
  }
}

TEST(OrderedWork, NoMoreThanThePlacesAreInWork) {
  std::atomic<int64_t> waiting = 0;
  std::atomic<int64_t> max = 0;
  for_each_in_order(
      200, /*workers=*/4, /*places=*/5,
      [&](int64_t, int64_t) {
        const int64_t now = ++waiting;
        int64_t before = max;
        while (now > before && !max.compare_exchange_weak(before, now)) {
        }
      },
      [&](int64_t, int64_t) { --waiting; });
  EXPECT_EQ(waiting, 0);
  EXPECT_LE(max, 5);
}

TEST(OrderedWork, TheFirstErrorReachesTheCaller) {
  for (const int64_t workers : {0, 1, 3}) {
    int64_t consumed = 0;
    const auto run = [&] {
      for_each_in_order(
          40, workers, 4,
          [](int64_t index, int64_t) {
            if (index == 7 || index == 9) {
              throw std::runtime_error(std::to_string(index));
            }
          },
          [&](int64_t, int64_t) { ++consumed; });
    };
    try {
      run();
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "7") << workers;
    }
    EXPECT_EQ(consumed, 7) << workers;
  }
}

TEST(OrderedWork, AnErrorOfTheConsumerEndsTheWork) {
  EXPECT_THROW(for_each_in_order(
                   1000, /*workers=*/2, /*places=*/4, [](int64_t, int64_t) {},
                   [](int64_t index, int64_t) {
                     if (index == 5) {
                       throw std::runtime_error("full");
                     }
                   }),
               std::runtime_error);
}

TEST(OrderedWork, NothingToDoIsDone) {
  const auto never = [](int64_t, int64_t) { ADD_FAILURE(); };
  for_each_in_order(0, /*workers=*/2, /*places=*/1, never, never);
}

}  // namespace
}  // namespace softmoe
