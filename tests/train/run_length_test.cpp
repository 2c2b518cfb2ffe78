#include "train/run_length.h"

#include <gtest/gtest.h>

#include <vector>

namespace softmoe {
namespace {

RunLength length_of(double epochs, int64_t steps_per_epoch, int64_t max_steps = 0) {
  TrainOptions options;
  options.epochs = epochs;
  options.max_steps = max_steps;
  return RunLength(options, steps_per_epoch);
}

/// The updates up to `length` after which an event of the interval happens.
std::vector<int64_t> due_steps(const RunLength& length, double interval) {
  std::vector<int64_t> steps;
  for (int64_t step = 0; step <= length.total_steps(); ++step) {
    if (length.is_due(interval, step)) {
      steps.push_back(step);
    }
  }
  return steps;
}

TEST(RunLength, IsTheEpochsUnlessTheLimitOfStepsComesFirst) {
  EXPECT_EQ(length_of(2.5, 10).total_steps(), 25);
  EXPECT_EQ(length_of(2.5, 10, 7).total_steps(), 7);
  EXPECT_EQ(length_of(2.5, 10, 70).total_steps(), 25);
  EXPECT_THROW(RunLength({}, 0), c10::ValueError);
}

TEST(RunLength, CountsEpochsWithTheirFractions) {
  const auto length = length_of(3, 8);
  EXPECT_EQ(length.epoch_of(0), 0.0);
  EXPECT_EQ(length.epoch_of(12), 1.5);
  EXPECT_EQ(length.epoch_of(24), 3.0);
}

TEST(RunLength, EventsFallOnTheirIntervalsAndOnTheEnd) {
  const auto length = length_of(2.5, 10);
  EXPECT_EQ(due_steps(length, 1.0), (std::vector<int64_t>{10, 20, 25}));
  EXPECT_EQ(due_steps(length, 0.5), (std::vector<int64_t>{5, 10, 15, 20, 25}));
  EXPECT_EQ(due_steps(length, 100.0), (std::vector<int64_t>{25}));
  // Every third of an epoch: 3 1/3, 6 2/3 and 10 updates.
  EXPECT_EQ(due_steps(length_of(1, 10), 1.0 / 3), (std::vector<int64_t>{4, 7, 10}));
  // More often than there are updates.
  EXPECT_EQ(due_steps(length_of(1, 3), 0.1), (std::vector<int64_t>{1, 2, 3}));
}

TEST(RunLength, RecordsEveryIntervalAndTheEnd) {
  const auto length = length_of(1, 7);
  std::vector<int64_t> steps;
  for (int64_t step = 1; step <= length.total_steps(); ++step) {
    if (length.is_recorded(3, step)) {
      steps.push_back(step);
    }
  }
  EXPECT_EQ(steps, (std::vector<int64_t>{3, 6, 7}));
}

}  // namespace
}  // namespace softmoe
