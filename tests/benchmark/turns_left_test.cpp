#include "benchmark/turns_left.h"

#include <gtest/gtest.h>

namespace softmoe {
namespace {

/// Rounds of one second of a small and a large model at two batch sizes.
TurnsLeft two_models() {
  TurnsLeft turns(/*round_seconds=*/1);
  turns.add("small", /*gflop=*/2, /*batch=*/1, /*turns=*/3);
  turns.add("large", 200, 1, 3);
  turns.add("small", 2, 8, 3);
  turns.add("large", 200, 8, 3);
  return turns;
}

TEST(TurnsLeft, NothingIsKnownBeforeAModelWasStarted) {
  const auto turns = two_models();
  EXPECT_EQ(turns.total(), 12);
  EXPECT_EQ(turns.done(), 0);
  EXPECT_FALSE(turns.seconds().has_value());
}

TEST(TurnsLeft, OtherModelsAreEstimatedByTheirOperations) {
  auto turns = two_models();
  turns.started("small", 1, 0.05);
  // 3 turns of the small one; the large one takes 5 s per image: 2 + 3 batches of one image and of
  // eight; the small one at batch 8 takes 0.4 s, which are twice to start, then turns of a second.
  EXPECT_DOUBLE_EQ(turns.seconds().value(), 3 * 1 + 5 * 5 + (2 * 0.4 + 3 * 1) + 5 * 40);
}

TEST(TurnsLeft, EachModelCountsByItsOwnTime) {
  auto turns = two_models();
  turns.started("small", 1, 0.05);
  turns.started("large", 1, 3);
  turns.finished("small", 1, 1.25);
  EXPECT_EQ(turns.done(), 1);
  EXPECT_DOUBLE_EQ(turns.seconds().value(), 2 * 1.25 + 3 * 3 + (2 * 0.4 + 3 * 1) + 5 * 24);
  turns.finished("large", 1, 4);
  EXPECT_DOUBLE_EQ(turns.seconds().value(), 2 * 1.25 + 2 * 4 + (2 * 0.4 + 3 * 1) + 5 * 24);
}

TEST(TurnsLeft, NoneTakeNoTime) {
  TurnsLeft turns(1);
  turns.add("a", 2, 3, 1);
  turns.started("a", 3, 5);
  turns.finished("a", 3, 6);
  EXPECT_EQ(turns.done(), turns.total());
  EXPECT_EQ(turns.seconds(), 0);
}

}  // namespace
}  // namespace softmoe
