#include "core/progress.h"

#include <gmock/gmock.h>

#include <thread>

namespace softmoe {
namespace {

using testing::HasSubstr;

/// What a bar shows of 1 of 101 units that took a tenth of a second.
std::string shown(std::optional<double> seconds_left) {
  const auto style = progress_style();
  set_progress_style(ProgressStyle::kBar);
  testing::internal::CaptureStderr();
  {
    Progress progress("Work", 101, "parts");
    std::this_thread::sleep_for(std::chrono::milliseconds(110));
    progress.update(1, "", seconds_left);
  }
  set_progress_style(style);
  return testing::internal::GetCapturedStderr();
}

TEST(Progress, EstimatesTheTimeLeftByTheAverage) {
  EXPECT_THAT(shown({}), HasSubstr("1/101 parts"));
  EXPECT_THAT(shown({}), testing::ContainsRegex("ETA [0-9]+:[0-9][0-9]"));
}

TEST(Progress, ShowsTheTimeLeftThatIsKnownBetter) { EXPECT_THAT(shown(75), HasSubstr("ETA 1:15")); }

}  // namespace
}  // namespace softmoe
