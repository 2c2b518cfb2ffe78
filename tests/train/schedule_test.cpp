#include "train/schedule.h"

#include <cmath>

#include "core/error.h"
#include "io/npz.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

/// The length of a run of `total` updates.
RunLength steps(int64_t total, int64_t per_epoch = 1, int64_t images = 1) {
  TrainOptions options;
  options.epochs = static_cast<double>(total) / static_cast<double>(per_epoch);
  return RunLength(options, {.per_epoch = per_epoch, .images = images});
}

struct ReferenceCase {
  std::string fixture;
  std::string sched;
};

void PrintTo(const ReferenceCase& test_case, std::ostream* out) { *out << test_case.sched; }

class ScheduleParity : public testing::TestWithParam<ReferenceCase> {};

TEST_P(ScheduleParity, EqualsReferenceAtEveryStep) {
  const auto path = test::fixture("vmoe/recipe.npz");
  const auto arrays = read_npz(path);
  const auto expected = npz_array(arrays, "lr/" + GetParam().fixture, path);
  const auto args = npz_array(arrays, "lr/" + GetParam().fixture + "/args", path);
  const auto arg = [&args](int64_t index) { return args[index].item<double>(); };
  ScheduleOptions options;
  options.sched = GetParam().sched;
  options.lr = arg(0);
  options.min_lr = arg(1);
  options.warmup_steps = static_cast<int64_t>(arg(2));
  options.cooldown_steps = static_cast<int64_t>(arg(3));
  options.timescale = std::max(1.0, arg(4));
  const Schedule schedule(options, steps(static_cast<int64_t>(arg(5))));
  auto actual = torch::empty_like(expected);
  for (int64_t step = 0; step < expected.size(0); ++step) {
    actual[step] = schedule.rate(step);
  }
  // The reference computes in fp32, whose spacing at the peak is 1e-10.
  EXPECT_TRUE(test::all_close(actual, expected, {.relative = 2e-7}));
}

INSTANTIATE_TEST_SUITE_P(Recipe, ScheduleParity,
                         testing::Values(ReferenceCase{"big_vision_rsqrt", "rsqrt"},
                                         ReferenceCase{"warmup_linear_decay", "linear"},
                                         ReferenceCase{"warmup_cosine_decay", "cosine"}),
                         [](const auto& test_case) { return test_case.param.sched; });

class EverySchedule : public testing::TestWithParam<size_t> {
 protected:
  const ScheduleRow& row() const { return schedules()[GetParam()]; }
};

TEST_P(EverySchedule, WarmsUpLinearlyFromZeroToThePeak) {
  ScheduleOptions options;
  options.sched = std::string(row().name);
  options.lr = 0.7;
  options.warmup_epochs = 2.5;
  const Schedule schedule(options, steps(100, /*per_epoch=*/4));
  EXPECT_EQ(schedule.rate(0), 0.0);
  EXPECT_DOUBLE_EQ(schedule.rate(3), 0.7 * 3 / 10);
  EXPECT_DOUBLE_EQ(schedule.rate(10), 0.7);
  for (int64_t step = 10; step < 100; ++step) {
    EXPECT_LE(schedule.rate(step + 1), schedule.rate(step)) << step;
  }
}

TEST_P(EverySchedule, CooldownIsLinearFromTheRateReached) {
  ScheduleOptions options;
  options.sched = std::string(row().name);
  options.lr = 0.7;
  options.min_lr = 0.01;
  const Schedule plain(options, steps(50));
  options.cooldown_steps = 20;
  const Schedule cooled(options, steps(50));
  for (int64_t step = 0; step <= 30; ++step) {
    EXPECT_EQ(cooled.rate(step), plain.rate(step)) << step;
  }
  EXPECT_NEAR(cooled.rate(35), 0.75 * plain.rate(30) + 0.25 * 0.01, 1e-15);
  EXPECT_NEAR(cooled.rate(50), 0.01, 1e-15);
  EXPECT_EQ(cooled.rate(70), cooled.rate(50));
}

INSTANTIATE_TEST_SUITE_P(Table, EverySchedule, testing::Range<size_t>(0, schedules().size()),
                         [](const auto& test_case) {
                           return std::string(schedules()[test_case.param].name);
                         });

TEST(Schedule, LengthsInStepsOverrideEpochs) {
  ScheduleOptions options;
  options.warmup_epochs = 3;
  options.warmup_steps = 5;
  options.cooldown_epochs = 2;
  const Schedule schedule(options, steps(1000, /*per_epoch=*/20));
  EXPECT_EQ(schedule.shape().warmup, 5);
  EXPECT_EQ(schedule.shape().cooldown, 40);
}

TEST(Schedule, UnknownNameListsTheKnownOnes) {
  ScheduleOptions options;
  options.sched = "stairs";
  try {
    const Schedule schedule(options, steps(10));
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(),
                testing::AllOf(testing::HasSubstr("'stairs'"), testing::HasSubstr("rsqrt")));
  }
}

TEST(Schedule, WarmupAndCooldownMustFitIntoTheRun) {
  ScheduleOptions options;
  options.warmup_steps = 6;
  options.cooldown_steps = 5;
  EXPECT_THROW(Schedule(options, steps(10)), UsageError);
  EXPECT_NO_THROW(Schedule(options, steps(11)));
}

TEST(Schedule, LengthsInExamplesCountWholeUpdates) {
  ScheduleOptions options;
  options.warmup_examples = 64;
  options.warmup_epochs = 3;
  options.cooldown_examples = 33;
  const Schedule schedule(options, steps(100, /*per_epoch=*/20, /*images=*/8));
  EXPECT_EQ(schedule.shape().warmup, 8);
  EXPECT_EQ(schedule.shape().cooldown, 4);
}

/// A run of 100 s.
RunLength hundred_seconds() {
  TrainOptions options;
  options.max_time = {100};
  return RunLength(options, {.per_epoch = 10});
}

TEST(Schedule, OfARunOfLimitedTimeFollowsTheTimeAtEverySpeed) {
  ScheduleOptions options{.sched = "linear", .lr = 1.0, .warmup_time = {10}};
  auto length = hundred_seconds();
  Schedule schedule(options, length);
  EXPECT_EQ(schedule.rate(0), 0.0);
  for (const double step_seconds : {0.01, 0.5, 2.0}) {
    const auto rate_at = [&](double seconds) {
      const int64_t step = std::llround(seconds / step_seconds);
      length.fit(step, seconds);
      schedule.fit(length, step_seconds);
      return schedule.rate(step);
    };
    EXPECT_NEAR(rate_at(4), 0.4, 1e-9) << step_seconds;
    EXPECT_NEAR(rate_at(10), 1.0, 1e-9) << step_seconds;
    EXPECT_NEAR(rate_at(46), 0.6, 1e-9) << step_seconds;
    EXPECT_NEAR(rate_at(92), 8.0 / 90, 1e-9) << step_seconds;
  }
}

TEST(Schedule, CooldownInTimeBeginsThatLongBeforeTheEnd) {
  ScheduleOptions options{.sched = "constant", .lr = 1.0, .cooldown_time = {20}};
  auto length = hundred_seconds();
  Schedule schedule(options, length);
  length.fit(/*step=*/90, /*seconds=*/45.0);
  schedule.fit(length, 0.5);
  EXPECT_EQ(schedule.rate(160), 1.0);
  EXPECT_NEAR(schedule.rate(180), 0.5, 1e-12);
  EXPECT_NEAR(schedule.rate(200), 0.0, 1e-12);
}

TEST(Schedule, LengthsInTimeNeedARunOfLimitedTimeThatHoldsThem) {
  EXPECT_THROW(Schedule({.warmup_time = {5}}, steps(100)), UsageError);
  EXPECT_THROW(Schedule({.warmup_time = {60}, .cooldown_time = {50}}, hundred_seconds()),
               UsageError);
  EXPECT_NO_THROW(Schedule({.warmup_time = {50}, .cooldown_time = {50}}, hundred_seconds()));
}

}  // namespace
}  // namespace softmoe
