#include "train/schedule.h"

#include "core/error.h"
#include "io/npz.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

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
  const Schedule schedule(options, static_cast<int64_t>(arg(5)), /*steps_per_epoch=*/1.0);
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
  const Schedule schedule(options, 100, /*steps_per_epoch=*/4.0);
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
  const Schedule plain(options, 50, 1.0);
  options.cooldown_steps = 20;
  const Schedule cooled(options, 50, 1.0);
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
  const Schedule schedule(options, 1000, /*steps_per_epoch=*/20.0);
  EXPECT_EQ(schedule.shape().warmup, 5);
  EXPECT_EQ(schedule.shape().cooldown, 40);
}

TEST(Schedule, UnknownNameListsTheKnownOnes) {
  ScheduleOptions options;
  options.sched = "stairs";
  try {
    const Schedule schedule(options, 10, 1.0);
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
  EXPECT_THROW(Schedule(options, 10, 1.0), UsageError);
  EXPECT_NO_THROW(Schedule(options, 11, 1.0));
}

}  // namespace
}  // namespace softmoe
