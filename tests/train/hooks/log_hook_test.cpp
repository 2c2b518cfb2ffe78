#include "train/hooks/log_hook.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/progress.h"
#include "train/hooks/hook_cases.h"

namespace softmoe {
namespace {

using test::LogLines;
using test::state_at;
using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

TEST(LogHook, TellsOfRecordsAndEvaluations) {
  const LogLines log;
  auto state = state_at(13);
  const auto update = test::some_update();
  TrainingRecord record{.update = update, .mean_loss = 0.625};
  LogHook hook;
  hook.at_record(state, record);
  test::set_evaluation(state, 0.75, /*is_best=*/true);
  hook.at_evaluation(state);
  EXPECT_THAT(log.lines(),
              ElementsAre(AllOf(StartsWith("Train: 1 [   3/10 ( 30%)]  Loss: 0.7500 (0.6250)"),
                                HasSubstr("Time: 0.500s,  24.0/s"), EndsWith("Data: 25%")),
                          AllOf(StartsWith(" * epoch 1.30  Acc@1 75.000 (25.000)"),
                                HasSubstr("train loss 1.2500"), EndsWith("0:08  best"))));
}

TEST(LogHook, SaysOnceThatTrainingWaitsForItsImages) {
  const LogLines log;
  LogHook hook;
  auto state = state_at(30);
  state.setup.options.data.data_dir = "photos";
  const ModelUpdate update;
  state.sitting = {.updates = 19, .seconds = 10.0, .data_seconds = 9.0};  // workers begin
  hook.after_update(state, update);
  state.sitting = {.updates = 20, .seconds = 10.0, .data_seconds = 2.9};  // few
  hook.after_update(state, update);
  EXPECT_THAT(log.lines(), IsEmpty());
  state.sitting.data_seconds = 6.0;
  hook.after_update(state, update);
  hook.after_update(state, update);
  EXPECT_THAT(log.lines(),
              ElementsAre(AllOf(HasSubstr("waits for its images 60 % of the time: photos"),
                                HasSubstr("by 1 worker more slowly"), HasSubstr("--workers"))));
}

TEST(LogHook, LeavesRecordsToAProgressBar) {
  const LogLines log;
  const auto before = progress_style();
  set_progress_style(ProgressStyle::kBar);
  auto state = state_at(13);
  const ModelUpdate update;
  TrainingRecord record{.update = update, .mean_loss = 0.625};
  LogHook().at_record(state, record);
  set_progress_style(before);
  EXPECT_THAT(log.lines(), IsEmpty());
}

}  // namespace
}  // namespace softmoe
