#include "datasets/ordered_ring.h"

#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

namespace softmoe {
namespace {

TEST(OrderedRing, BeginsAnywhereAndKeepsTheOrder) {
  for (const int64_t workers : {1, 3}) {
    std::vector<int64_t> made(4, -1);
    OrderedRing ring(11, 60, workers, 4,
                     [&](int64_t index) { made[static_cast<size_t>(index % 4)] = index; });
    for (int64_t index = 11; index < 60; ++index) {
      ring.wait(index);
      EXPECT_EQ(made[static_cast<size_t>(index % 4)], index);
      ring.release(index);
    }
  }
}

TEST(OrderedRing, HasNoMoreItemsInWorkThanPlaces) {
  std::atomic<int64_t> begun = 0;
  OrderedRing ring(0, 100, /*workers=*/4, /*places=*/3, [&](int64_t) { ++begun; });
  ring.wait(0);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_LE(begun, 3);
  ring.release(0);
  ring.wait(3);
  EXPECT_LE(begun, 4);
}

TEST(OrderedRing, ThrowsWhatTheProductionOfTheItemThrew) {
  OrderedRing ring(0, 4, /*workers=*/2, /*places=*/4, [](int64_t index) {
    if (index == 1) {
      throw std::runtime_error("bad");
    }
  });
  ring.wait(0);
  EXPECT_THROW(ring.wait(1), std::runtime_error);
  ring.wait(2);
}

TEST(OrderedRing, EndsWithoutTheItemsThatNobodyTook) {
  std::atomic<int64_t> made = 0;
  {
    OrderedRing ring(0, 1000, /*workers=*/2, /*places=*/5, [&](int64_t) { ++made; });
    ring.wait(0);
  }
  EXPECT_LE(made, 5);
  const OrderedRing nothing(7, 7, /*workers=*/2, /*places=*/1, [&](int64_t) { ++made; });
}

TEST(OrderedRing, RejectsMisuse) {
  EXPECT_THROW(OrderedRing(0, 1, /*workers=*/0, /*places=*/1, [](int64_t) {}), c10::ValueError);
  EXPECT_THROW(OrderedRing(0, 1, /*workers=*/1, /*places=*/0, [](int64_t) {}), c10::ValueError);
}

}  // namespace
}  // namespace softmoe
