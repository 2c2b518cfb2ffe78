#include "train/run_length.h"

#include <gtest/gtest.h>

#include <vector>

namespace softmoe {
namespace {

RunLength length_of(double epochs, int64_t steps_per_epoch, int64_t max_steps = 0) {
  TrainOptions options;
  options.epochs = epochs;
  options.max_steps = max_steps;
  return RunLength(options, {.per_epoch = steps_per_epoch});
}

RunLength timed_length(double seconds, int64_t max_steps = 0) {
  TrainOptions options;
  options.max_time = {seconds};
  options.max_steps = max_steps;
  return RunLength(options, {.per_epoch = 10});
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
  EXPECT_THROW(RunLength({}, {.per_epoch = 0}), c10::ValueError);
}

TEST(RunLength, EndsWithTheLastWholeUpdateOfItsExamples) {
  TrainOptions options;
  options.epochs = 5;
  options.max_examples = 95;
  EXPECT_EQ(RunLength(options, {.per_epoch = 10, .images = 8}).total_steps(), 11);
  options.max_examples = 1;
  EXPECT_EQ(RunLength(options, {.per_epoch = 10, .images = 8}).total_steps(), 1);
  options.max_examples = 1000;
  EXPECT_EQ(RunLength(options, {.per_epoch = 10, .images = 8}).total_steps(), 50);
}

TEST(RunLength, OfLimitedTimeFollowsTheSpeed) {
  auto length = timed_length(60);
  EXPECT_TRUE(length.is_timed());
  EXPECT_EQ(length.total_text(), "an unknown number");
  length.fit(/*step=*/0, /*seconds=*/0.0);
  EXPECT_GT(length.total_steps(), int64_t{1} << 60);
  length.fit(/*step=*/2, /*seconds=*/1.0);
  EXPECT_EQ(length.total_steps(), 120);
  EXPECT_EQ(length.total_text(), "about 120");
  length.fit(/*step=*/50, /*seconds=*/50.0);
  EXPECT_EQ(length.total_steps(), 60);
  // Less than half an update is left beside the next one, then more than that.
  length.fit(/*step=*/58, /*seconds=*/58.6);
  EXPECT_EQ(length.total_steps(), 59);
  length.fit(/*step=*/58, /*seconds=*/58.4);
  EXPECT_EQ(length.total_steps(), 60);
  length.fit(/*step=*/70, /*seconds=*/80.0);
  EXPECT_EQ(length.total_steps(), 71);
}

TEST(RunLength, OfLimitedTimeHasALimitOfStepsToo) {
  auto length = timed_length(60, /*max_steps=*/30);
  EXPECT_EQ(length.total_text(), "30");
  length.fit(/*step=*/1, /*seconds=*/1.0);
  EXPECT_EQ(length.total_steps(), 30);
  length.fit(/*step=*/10, /*seconds=*/40.0);
  EXPECT_EQ(length.total_text(), "about 15");
}

TEST(RunLength, EndsEarlierIfTold) {
  auto length = length_of(3, 10);
  length.end_at(17);
  EXPECT_EQ(length.total_steps(), 17);
  EXPECT_TRUE(length.is_due(100.0, 17));
  length.end_at(20);
  EXPECT_EQ(length.total_steps(), 17);
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

TEST(RunLength, TellsTheShareOfTheRunThatIsDone) {
  TrainOptions options;
  options.epochs = 2;
  const RunLength length(options, {.per_epoch = 10, .images = 1});
  EXPECT_DOUBLE_EQ(length.share_of(0), 0.0);
  EXPECT_DOUBLE_EQ(length.share_of(5), 0.25);
  EXPECT_DOUBLE_EQ(length.share_of(20), 1.0);
  EXPECT_DOUBLE_EQ(length.share_of(21), 1.0);
}

}  // namespace
}  // namespace softmoe
