#include "train/training_state.h"

#include <gmock/gmock.h>

#include "checkpoints/model_checkpoint.h"
#include "core/error.h"
#include "support/tensor_matcher.h"
#include "train/hooks/hook_cases.h"
#include "train/tiny_run.h"

namespace softmoe {
namespace {

using test::same_bits;
using test::setup_of;
using test::tiny_run;

const DataIdentity kFourCorners{.class_names = {"a", "b", "c", "d"},
                                .train = {.images = 120, .digest = "01"},
                                .val = {.images = 20, .digest = "02"}};

TEST(TrainingState, HasRatesOfItsSitting) {
  auto state = make_training_state(setup_of(tiny_run()), {}, /*updates_per_epoch=*/10);
  EXPECT_EQ(state.images_per_second(), 0.0);
  EXPECT_EQ(state.data_share(), 0.0);
  state.progress.step = 25;
  state.sitting = {.updates = 4, .seconds = 2.0, .data_seconds = 0.5};
  EXPECT_EQ(state.epoch(), 2.5);
  EXPECT_EQ(state.images_per_second(), 24.0);
  EXPECT_EQ(state.data_share(), 0.25);
  EXPECT_EQ(state.last_rate(), state.schedule.rate(24));
}

TEST(TrainingState, IsRestoredFromItsCheckpoint) {
  auto run = tiny_run();
  run.train.seed = 3;
  run.config = options_to_json(run.train);
  auto first = make_training_state(setup_of(run), kFourCorners, 10);
  first.progress.step = 7;
  first.progress.best_score = 0.5;
  const auto checkpoint = to_checkpoint(first);
  EXPECT_EQ(model_description(checkpoint.metadata, "last.h5").class_names.back(), "d");

  auto setup = setup_of(run);
  setup.start.model = make_model(run.model, /*seed=*/99);
  auto second = make_training_state(std::move(setup), kFourCorners, 10);
  restore(second, checkpoint, "run/last.h5");
  EXPECT_EQ(second.progress, first.progress);
  const auto tensors = named_tensors(*second.model());
  for (const auto& [name, tensor] : named_tensors(*first.model())) {
    EXPECT_TRUE(same_bits(tensors.at(name), tensor)) << name;
  }
}

TEST(TrainingState, RefusesTheCheckpointOfARunWithOtherOptions) {
  auto run = tiny_run();
  const auto checkpoint = to_checkpoint(make_training_state(setup_of(run), kFourCorners, 10));
  run.train.idle_steps = 1;  // no result depends on it
  run.config = options_to_json(run.train);
  auto allowed = make_training_state(setup_of(run), kFourCorners, 10);
  restore(allowed, checkpoint, "run/last.h5");
  run.train.seed = 4;
  run.config = options_to_json(run.train);
  auto refused = make_training_state(setup_of(run), kFourCorners, 10);
  EXPECT_THROW(restore(refused, checkpoint, "run/last.h5"), UsageError);
}

TEST(TrainingState, RefusesOtherData) {
  const auto run = tiny_run();
  const auto checkpoint = to_checkpoint(make_training_state(setup_of(run), kFourCorners, 10));
  auto other = kFourCorners;
  other.val.digest = "03";
  auto refused = make_training_state(setup_of(run), other, 10);
  EXPECT_THROW(restore(refused, checkpoint, "run/last.h5"), InputError);
}

TEST(TrainingState, OfALongerRunFollowsItsSchedule) {
  auto run = tiny_run();
  auto first = make_training_state(setup_of(run), kFourCorners, 10);
  first.progress.step = 30;
  const auto checkpoint = to_checkpoint(first);
  run.train.epochs = 6;
  run.config = options_to_json(run.train);
  auto longer = make_training_state(setup_of(run), kFourCorners, 10);
  const test::LogLines log;
  restore(longer, checkpoint, "run/last.h5");
  EXPECT_EQ(longer.length.total_steps(), 60);
  ASSERT_EQ(log.lines().size(), 1U);
  EXPECT_THAT(log.lines()[0], testing::HasSubstr("60 updates instead of 30; from update 31 on"));
}

TEST(TrainingState, OfLimitedTimeEndsOnceAndGoesOnWithMoreTime) {
  auto run = tiny_run();
  run.train.max_time = {60};
  run.config = options_to_json(run.train);
  auto first = make_training_state(setup_of(run), kFourCorners, 10);
  first.progress.step = 118;
  first.progress.train_seconds = 59.2;  // two further updates at this speed
  first.progress.ended_max_time = 60;   // but the last one was faster than expected
  const auto checkpoint = to_checkpoint(first);
  auto again = make_training_state(setup_of(run), kFourCorners, 10);
  restore(again, checkpoint, "run/last.h5");
  EXPECT_EQ(again.length.total_steps(), 118);
  run.train.max_time = {120};
  run.config = options_to_json(run.train);
  auto longer = make_training_state(setup_of(run), kFourCorners, 10);
  const test::LogLines log;
  restore(longer, checkpoint, "run/last.h5");
  EXPECT_EQ(longer.length.total_steps(), 239);
  ASSERT_EQ(log.lines().size(), 1U);
  EXPECT_THAT(log.lines()[0], testing::HasSubstr("about 239 updates instead of 118"));
}

}  // namespace
}  // namespace softmoe
