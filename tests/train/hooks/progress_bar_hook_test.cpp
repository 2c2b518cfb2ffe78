#include "train/hooks/progress_bar_hook.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "train/hooks/hook_cases.h"

namespace softmoe {
namespace {

using test::state_at;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

/// What the hook writes to stderr after an update, and at the evaluation behind it.
std::pair<std::string, std::string> output_of(ProgressStyle style) {
  const auto before = progress_style();
  set_progress_style(style);
  auto state = state_at(15);
  ProgressBarHook hook;
  testing::internal::CaptureStderr();
  hook.after_update(state, test::some_update());
  std::this_thread::sleep_for(
      std::chrono::milliseconds(110));  // bars are redrawn ten times a second
  hook.after_update(state, test::some_update());
  auto update = testing::internal::GetCapturedStderr();
  testing::internal::CaptureStderr();
  hook.at_evaluation(state);
  auto evaluation = testing::internal::GetCapturedStderr();
  set_progress_style(before);
  return {update, evaluation};
}

TEST(ProgressBarHook, DrawsABarAndRemovesItForEvaluations) {
  const auto [update, evaluation] = output_of(ProgressStyle::kBar);
  EXPECT_THAT(update, AllOf(HasSubstr("Train"), HasSubstr("15/30 updates")));
  EXPECT_NE(evaluation, "");
}

TEST(ProgressBarHook, IsSilentWithoutBars) {
  for (const auto style : {ProgressStyle::kLines, ProgressStyle::kNone}) {
    const auto [update, evaluation] = output_of(style);
    EXPECT_THAT(update, IsEmpty());
    EXPECT_THAT(evaluation, IsEmpty());
  }
}

}  // namespace
}  // namespace softmoe
