#include "train/upcycle_moment.h"

#include <gmock/gmock.h>

#include "support/error_text.h"
#include "vit/small_models.h"

namespace softmoe::upcycle_moment_test {

using testing::HasSubstr;
using Unit = UpcycleMoment::Unit;

RunLength length_of(int64_t epochs, double max_seconds = 0.0) {
  TrainOptions options;
  options.epochs = static_cast<double>(epochs);
  options.max_time = {max_seconds};
  return {options, {.per_epoch = 10, .images = 4}};
}

TEST(UpcycleMoment, IsAShareOrALengthOfTheRun) {
  EXPECT_EQ(parse_upcycle_moment("0.3"), (UpcycleMoment{Unit::kShare, 0.3}));
  EXPECT_EQ(parse_upcycle_moment("25%"), (UpcycleMoment{Unit::kShare, 0.25}));
  EXPECT_EQ(parse_upcycle_moment("500steps"), (UpcycleMoment{Unit::kSteps, 500}));
  EXPECT_EQ(parse_upcycle_moment("1.5epochs"), (UpcycleMoment{Unit::kEpochs, 1.5}));
  EXPECT_EQ(parse_upcycle_moment("2min"), (UpcycleMoment{Unit::kSeconds, 120}));
  for (const auto* text : {"", "0", "1", "5", "0steps", "100%", "half", "-0.3", "3apples"}) {
    EXPECT_THAT(test::usage_error([&] { parse_upcycle_moment(text); }),
                HasSubstr("upcycle-at: expected a share of the run"))
        << text;
  }
}

TEST(UpcycleMoment, IsReachedAfterItsUpdatesOrItsTime) {
  const auto is_reached_at = [](const std::string& text, int64_t step, double seconds,
                                double max_seconds = 0.0) {
    RunProgress progress;
    progress.step = step;
    progress.train_seconds = seconds;
    return is_reached(parse_upcycle_moment(text), length_of(4, max_seconds), progress);
  };
  EXPECT_FALSE(is_reached_at("0.3", 11, 99.0));
  EXPECT_TRUE(is_reached_at("0.3", 12, 0.0));
  EXPECT_FALSE(is_reached_at("0.001", 0, 0.0));
  EXPECT_TRUE(is_reached_at("1.5epochs", 15, 0.0));
  EXPECT_FALSE(is_reached_at("16steps", 15, 99.0));
  EXPECT_TRUE(is_reached_at("9s", 1, 9.5));
  // Shares of a run of limited time are shares of that.
  EXPECT_FALSE(is_reached_at("0.5", 1000, 49.0, 100.0));
  EXPECT_TRUE(is_reached_at("0.5", 1, 50.0, 100.0));
}

TEST(UpcycleMoment, MustComeBeforeTheEndOfTheRun) {
  TrainOptions options;
  options.epochs = 3;
  options.max_steps = 50;
  check_moment(parse_upcycle_moment("49steps"), options);
  check_moment(parse_upcycle_moment("2.9epochs"), options);
  EXPECT_THAT(test::usage_error([&] {
                check_moment({Unit::kSteps, 50}, options);
              }),
              HasSubstr("before the end of the run, 50 steps, found 50"));
  EXPECT_THAT(test::usage_error([&] {
                check_moment({Unit::kEpochs, 3}, options);
              }),
              HasSubstr("3 epochs"));
  options.max_time = {60};
  check_moment({Unit::kEpochs, 3}, options);
  EXPECT_THAT(test::usage_error([&] {
                check_moment({Unit::kSeconds, 60}, options);
              }),
              HasSubstr("1min"));
}

TEST(UpcycleMoment, ForecastsTheTimeOfBothModels) {
  MidUpcycling upcycling{
      .moment = parse_upcycle_moment("0.5"), .from = {}, .to = {}, .options = {}};
  upcycling.cost_ratio = 3.0;
  RunProgress progress;
  progress.step = 10;
  progress.train_seconds = 5.0;
  const auto left = forecast(upcycling, length_of(4), progress);
  EXPECT_DOUBLE_EQ(left.steps, 30.0);
  EXPECT_DOUBLE_EQ(left.seconds, 10 * 0.5 + 20 * 1.5);
  auto timed = forecast(upcycling, length_of(4, 65.0), progress);
  EXPECT_DOUBLE_EQ(timed.seconds, 60.0);
  EXPECT_DOUBLE_EQ(timed.steps, 27.5 / 0.5 + 32.5 / 1.5);
  // After the moment the speed is the measured one.
  progress = {.step = 30, .train_seconds = 30.0, .upcycled_step = 20, .upcycled_seconds = 10.0};
  const auto later = forecast(upcycling, length_of(4), progress);
  EXPECT_DOUBLE_EQ(later.first_update, 0.5);
  EXPECT_DOUBLE_EQ(later.last_update, 2.0);
  EXPECT_DOUBLE_EQ(later.seconds, 20.0);
  timed = forecast(upcycling, length_of(4, 65.0), progress);
  EXPECT_DOUBLE_EQ(timed.steps, 17.5);
}

TEST(UpcycleMoment, NeedsMoeLayersOfAWidthThatTheMlpHas) {
  const auto moment = parse_upcycle_moment("0.5");
  const auto upcycling = mid_upcycling(moment, test::small_moe_options(), {});
  EXPECT_FALSE(has_moe(upcycling.from));
  EXPECT_GT(upcycling.cost_ratio, 0.0);
  EXPECT_THAT(test::usage_error([&] { mid_upcycling(moment, test::small_options(), {}); }),
              HasSubstr("upcycle-at needs moe-blocks"));
  auto narrow = test::small_moe_options();
  narrow.moe.expert_dim = 10;
  EXPECT_THAT(test::usage_error([&] { mid_upcycling(moment, narrow, {}); }),
              HasSubstr("expert-dim"));
}

}  // namespace softmoe::upcycle_moment_test
